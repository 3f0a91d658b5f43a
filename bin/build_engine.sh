#!/bin/sh
# Builds the llama.cpp that Local Swarm's figures are of: llama-server, its shared libraries and the
# sources beside them, out of the sdist of llama-cpp-python. For the tests that need a native engine.
#
#   bin/build_engine.sh FOLDER [VERSION]
#
# Needs pip, cmake, ninja and a C++ compiler; takes minutes. What is built already is not built
# again. Prints the environment variables that the tests read, for a shell's `eval`.
set -eu

folder=${1:?usage: bin/build_engine.sh FOLDER [VERSION]}
version=${2:-0.3.36}
python=${PYTHON:-python3}
name=llama_cpp_python-$version

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
source=$folder/$name/vendor/llama.cpp

if [ ! -d "$source" ]; then
    "$python" -m pip download --quiet --no-deps --no-binary :all: \
        --dest "$folder" "llama-cpp-python==$version" >&2
    tar -xzf "$folder/$name.tar.gz" -C "$folder"
fi

cmake -S "$source" -B "$folder/build" -G Ninja \
    -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TOOLS=ON \
    -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF >&2
cmake --build "$folder/build" --target llama-server llama-fit-params >&2

echo "export LSWARM_TEST_LLAMA_SERVER='$folder/build/bin/llama-server'"
echo "export LSWARM_TEST_LLAMA_SOURCE='$source'"

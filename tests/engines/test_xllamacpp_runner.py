"""The runner's flags and its ways to end, without and with the real wheel."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_swarm.engines import ENGINES
from local_swarm.engines.flag_table import Flag, FlagError
from local_swarm.engines.xllamacpp import RUNNER
from local_swarm.engines.xllamacpp_flags import FLAGS, apply, parse
from local_swarm.engines.xllamacpp_runner import make_params
from local_swarm.engines.xllamacpp_values import cpu_range, experts_on_cpu, tensor_split
from tests.engines.conftest import seated

# Starts its arguments, says their pid, and waits to be killed.
PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:])
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("argv", [["--bogus"], ["--lora", "x"], ["word"], ["-hfd", "draft"]])
def test_an_unknown_flag_is_named_with_the_native_engine_as_the_way(argv: list[str]) -> None:
    with pytest.raises(FlagError, match=rf"'{argv[0]}'.*llama-server"):
        parse(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["-c", "many"],
        ["-ctk", "q3"],
        ["--temp"],
        ["--fit", "maybe"],
        ["-dev", "CUDA0"],
        ["-Cr", "3"],
        ["-Cr", "7-3"],
        ["--numa", "yes"],
        ["--chat-template-kwargs", "{"],
        ["--chat-template-kwargs", '"abc"'],
        ["--chat-template-kwargs", '["ab"]'],
        ["--chat-template-kwargs", "null"],
        ["--chat-template-kwargs", "[" * 100_000],
        ["--chat-template-file", "no\0file"],
        ["--rope-scale", "0"],
        ["--rope-scale", "-1"],
        ["--rope-scale", "nan"],
        ["--rope-scale", "inf"],
        ["--rope-scale", "1e-320"],
        ["--seed", "inf"],
    ],
)
def test_a_value_that_cannot_be_used_is_named(argv: list[str]) -> None:
    with pytest.raises(FlagError, match=argv[0]):
        parse(argv)


def test_any_error_of_a_reader_or_of_the_wheel_names_the_flag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setitem(FLAGS, "--odd", Flag(("--odd",), broken, broken))
    with pytest.raises(FlagError, match=r"--odd.*odd"):
        parse(["--odd", "1"])
    with pytest.raises(FlagError, match=r"--odd.*odd"):
        apply(None, None, [(FLAGS["--odd"], "1")])


@pytest.mark.parametrize("flag", ["--mlock", "--mmap", "--no-mmap"])
def test_flags_that_llama_cpp_dropped_are_not_known(flag: str) -> None:
    assert flag not in FLAGS


def test_a_key_is_one_key_whatever_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    xl = pytest.importorskip("xllamacpp")
    for key, keys in (("one,two", ["one,two"]), ("", [])):
        monkeypatch.setenv("LLAMA_API_KEY", key)
        assert make_params(xl, ["-m", "x"]).api_keys == keys
        assert "LLAMA_API_KEY" not in os.environ


def test_values_are_read_as_llama_cpp_reads_them() -> None:
    assert [i for i, used in enumerate(cpu_range("2-4")) if used] == [2, 3, 4]
    assert tensor_split("3,1")[:3] == [3.0, 1.0, 0.0]
    assert experts_on_cpu("2").count("=CPU") == 2
    assert parse(["--top_k", "5"])[0][1] == 5


SAMPLES = {"-ctk": "q8_0", "-ctv": "q4_0", "-fa": "on", "--fit": "off", "-fit": "off"}
SAMPLES |= {"-dev": "none", "-Cr": "0-1", "-Crb": "0-1", "-ts": "1,1"}
SAMPLES |= {"--rope-scaling": "yarn", "--numa": "isolate", "--pooling": "mean"}
SAMPLES |= {"--spec-type": "draft-simple", "-ctkd": "q8_0", "-ctvd": "q4_0"}
SAMPLES |= {"--reasoning-format": "none", "--chat-template-kwargs": '{"a": 1}'}
SAMPLES |= {"--samplers": "top_k;temperature", "--chat-template-file": os.devnull}


@pytest.mark.parametrize("flag", sorted({flag.names[0] for flag in FLAGS.values()}))
def test_every_flag_is_one_that_the_wheel_takes(flag: str) -> None:
    xl = pytest.importorskip("xllamacpp")
    row = FLAGS[flag]
    words = [flag] if row.read is None else [flag, SAMPLES.get(flag, "1")]
    apply(xl, xl.CommonParams(), parse(words))


def test_flags_arrive_where_the_server_looks() -> None:
    xl = pytest.importorskip("xllamacpp")
    params = xl.CommonParams()
    words = "-c 4096 -np 4 -kvu -ctk q8_0 -fa off --no-repack --fit off -ngl 0 -t 3 -tb 2"
    words += " --temp 0.5 --seed -1 -Crb 1-2 --metrics --no-mmproj-offload"
    words += " --mmproj eyes -md draft --spec-type draft-simple --spec-draft-n-max 5 -ctkd q8_0"
    apply(xl, params, parse(words.split()))
    assert (params.n_ctx, params.n_parallel, params.kv_unified) == (4096, 4, True)
    assert params.cache_type_k == xl.ggml_type.GGML_TYPE_Q8_0
    assert params.flash_attn_type == xl.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    assert params.no_extra_bufts
    assert not params.fit_params
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (3, 2)
    assert params.sampling.temp == 0.5
    assert params.sampling.seed == 2**32 - 1
    assert params.sampling.user_sampling_config != 0
    assert params.cpuparams_batch.mask_valid
    assert (params.mmproj.path, params.mmproj_use_gpu) == ("eyes", False)
    draft = params.speculative.draft
    assert (draft.mparams.path, draft.n_max) == ("draft", 5)
    assert draft.cache_type_k == xl.ggml_type.GGML_TYPE_Q8_0
    simple = xl.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE
    assert list(params.speculative.types) == [simple]


def ended(*argv: str, cwd: Path, **env: str) -> tuple[int, str]:
    """Exit code and last line on stderr."""
    done = subprocess.run(
        [sys.executable, str(RUNNER), *argv],
        capture_output=True,
        timeout=30,
        cwd=cwd,
        env={**os.environ, **env},
        check=False,
    )
    return done.returncode, done.stderr.decode().strip().splitlines()[-1]


def test_an_unknown_flag_ends_the_runner_with_2(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    code, line = ended("--bogus", cwd=tmp_path)
    assert code == 2
    assert "--bogus" in line
    assert "llama-server" in line


def test_a_value_it_cannot_use_ends_the_runner_with_2(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    code, line = ended("--rope-scale", "0", cwd=tmp_path)
    assert code == 2
    assert "--rope-scale" in line


def test_the_last_line_says_why_a_model_does_not_load(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "odd.gguf").write_bytes(b"GGUF" + b"x" * 64)
    for name, why in (("gone.gguf", "No such file"), ("odd.gguf", "could not start")):
        code, line = ended("-m", str(tmp_path / name), "--port", "0", cwd=tmp_path)
        assert code == 1
        assert name in line
        assert why in line


def test_files_of_the_current_folder_do_not_stand_in_for_modules(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    for name in ("xllamacpp", "ctypes", "socket", "local_swarm"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)")
    code, line = ended("-m", "gone.gguf", cwd=tmp_path)
    assert code == 1
    assert "gone.gguf" in line


def test_the_runner_is_a_module_too() -> None:
    pytest.importorskip("xllamacpp")
    command = [sys.executable, "-m", "local_swarm.engines.xllamacpp_runner", "-m", "gone.gguf"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "gone.gguf" in done.stderr


@pytest.fixture(params=["xllamacpp", "llama-cpp-python"])
async def orphan(request: Any, worker: Any) -> AsyncIterator[tuple[Any, int]]:
    """A child in its parent's arms: (the parent's process, the child's pid)."""
    if sys.platform != "linux":
        pytest.skip("the kernel of this system has no parent-death signal")
    engine = ENGINES[request.param]("")
    if why := engine.available().reason:
        pytest.skip(why)
    spec = engine.launch(seated(worker, engine), host="127.0.0.1", port=0, api_key="k")
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, *spec.argv),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    pid = int(await parent.stdout.readline())
    while b"listening on" not in await asyncio.wait_for(parent.stderr.readline(), 30):
        pass
    yield parent, pid
    if parent.returncode is None:
        parent.kill()
        await parent.wait()


async def test_a_child_dies_with_its_parent(orphan: tuple[Any, int]) -> None:
    parent, pid = orphan
    pidfd = os.pidfd_open(pid)
    try:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(pidfd, gone.set)
        parent.kill()
        await asyncio.wait_for(gone.wait(), 5)
    finally:
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
    await parent.wait()

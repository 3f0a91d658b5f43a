// Registers FAKE_GPUS devices of FAKE_GPU_MIB each in the process that preloads the library.
#include <cstddef>
#include <cstdlib>

void fake_register(int count, size_t memory);

__attribute__((constructor)) static void init() {
    const char * count = getenv("FAKE_GPUS");
    const char * mib = getenv("FAKE_GPU_MIB");
    if (count && atoi(count) > 0) fake_register(atoi(count), (size_t) (mib ? atoll(mib) : 24576) << 20);
}

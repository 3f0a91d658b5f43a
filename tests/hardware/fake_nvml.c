/* A stand-in for libnvidia-ml.so.1, told by environment variables what to show.
 *
 *   FAKE_NVML_GPUS       how many cards (2)
 *   FAKE_NVML_INIT       error that initialisation returns (0: none)
 *   FAKE_NVML_HANG       seconds that initialisation takes
 *   FAKE_NVML_NO_MEMORY  memory is "not supported", as on machines with one memory for all
 *   FAKE_NVML_MIG        number of MIG instances that the last card is cut into
 *   FAKE_NVML_USED_FILE  a file with the MiB used on each device, read at every question (1024)
 *   FAKE_NVML_HELD_MIB   memory that one other process holds on each card; "hidden" for unknown
 *
 * Built with -DOLD it lacks what drivers of before 2020 lack. Handles are numbers: 1, 2, ... for
 * cards, 1001, 1002, ... for MIG instances.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };

typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned pid; u64 held; unsigned gpu_instance, compute_instance; } process_t;
typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} pci_t;

static int number(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
static long of(void *handle) { return (long)handle; }
static u64 used(void) {
    const char *path = getenv("FAKE_NVML_USED_FILE");
    unsigned mib = 1024;
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file) {
        if (fscanf(file, "%u", &mib) != 1) mib = 1024;
        fclose(file);
    }
    return (u64)mib << 20;
}
static int is_part(void *handle) { return of(handle) > 1000; }
static int is_cut(void *handle) {
    return number("FAKE_NVML_MIG", 0) && of(handle) == number("FAKE_NVML_GPUS", 2);
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    sleep(number("FAKE_NVML_HANG", 0));
    return number("FAKE_NVML_INIT", OK);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int error) { return error ? "something is wrong" : "fine"; }

int nvmlSystemGetDriverVersion(char *out, unsigned length) {
    snprintf(out, length, "550.120");
    return OK;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = number("FAKE_NVML_GPUS", 2);
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(long)(index + 1);
    return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    long index = strtol(uuid + 4, NULL, 16);
    long most = strncmp(uuid, "MIG-", 4) ? number("FAKE_NVML_GPUS", 2)
                                         : 1000 + number("FAKE_NVML_MIG", 0);
    if (index < 1 || index > most) return NOT_FOUND;
    *handle = (void *)index;
    return OK;
}
int nvmlDeviceGetName(void *handle, char *out, unsigned length) {
    snprintf(out, length, is_part(handle) ? "NVIDIA Pretend MIG 1g.10gb" : "NVIDIA Pretend 24");
    return OK;
}
int nvmlDeviceGetUUID(void *handle, char *out, unsigned length) {
    snprintf(out, length, "%s-%08lx", is_part(handle) ? "MIG" : "GPU", of(handle));
    return OK;
}
int nvmlDeviceGetMemoryInfo(void *handle, memory_t *out) {
    if (getenv("FAKE_NVML_NO_MEMORY")) return NOT_SUPPORTED;
    out->total = is_part(handle) ? 10ULL << 30 : 24ULL << 30;
    out->used = used();
    out->free = out->total - out->used;
    return OK;
}

#ifndef OLD
int nvmlDeviceGetPciInfo_v3(void *handle, pci_t *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02lX:00.0", of(handle) * 0x10);
    return OK;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    (void)handle;
    *major = 8;
    *minor = 9;
    return OK;
}
int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *milliwatts) {
    (void)handle;
    *milliwatts = 350000;
    return OK;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    if (!getenv("FAKE_NVML_MIG")) return NOT_SUPPORTED;
    *current = *pending = is_cut(handle);
    return OK;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    (void)handle;
    *count = 7;
    return OK;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **part) {
    (void)handle;
    if ((int)index >= number("FAKE_NVML_MIG", 0)) return NOT_FOUND;
    *part = (void *)(long)(1001 + index);
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *out) {
    const char *held = getenv("FAKE_NVML_HELD_MIB");
    unsigned room = *count;
    (void)handle;
    *count = 2;
    if (room < 2) return TOO_SMALL;
    memset(out, 0, 2 * sizeof *out);
    out[0].pid = getpid();
    out[0].held = 5ULL << 30;
    out[1].pid = 1;
    out[1].held = !held ? 0 : strcmp(held, "hidden") ? (u64)atoi(held) << 20 : ~0ULL;
    return OK;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, process_t *out) {
    (void)handle;
    (void)out;
    *count = 0;
    return OK;
}
#endif

// A fake GPU for llama.cpp: it supports every operation, and computes nothing or has the CPU do it.
// Buffers follow ggml-cuda: alignment 128, quantised rows padded to MATRIX_ROW_PADDING = 512, a
// half-precision copy of a quantised cache as scratch of flash attention, a pinned host buffer.
#include "ggml-backend-impl.h"
#include <cstring>
#include <string>
#include <sys/mman.h>
#include <vector>

struct Device {
    std::string name;
    size_t memory, used;
    ggml_backend_buffer_type buffers, host;
    ggml_backend_device device;
};
static std::vector<Device *> devices;
static ggml_backend_reg registry;

// Buffers: memory of the host, of which only what is written takes any.
static Device * device_of(ggml_backend_buffer_type_t type) { return (Device *) type->context; }
static const char * buffer_name(ggml_backend_buffer_type_t type) { return device_of(type)->name.c_str(); }
static const char * host_name(ggml_backend_buffer_type_t) { return "FAKE_Host"; }
static bool is_host(ggml_backend_buffer_type_t type) { return type == &device_of(type)->host; }
static void buffer_free(ggml_backend_buffer_t buffer) {
    if (!is_host(buffer->buft)) device_of(buffer->buft)->used -= buffer->size;
    munmap(buffer->context, buffer->size + 1);
}
static void * buffer_base(ggml_backend_buffer_t buffer) { return buffer->context; }
static void buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    if (value) memset(buffer->context, value, buffer->size);
    else madvise(buffer->context, buffer->size + 1, MADV_DONTNEED);
}
static void buffer_set(ggml_backend_buffer_t, ggml_tensor * tensor, const void * data, size_t offset, size_t size) {
    memcpy((char *) tensor->data + offset, data, size);
}
static void buffer_get(ggml_backend_buffer_t, const ggml_tensor * tensor, void * data, size_t offset, size_t size) {
    memcpy(data, (char *) tensor->data + offset, size);
}
static ggml_backend_buffer_t buffer_alloc(ggml_backend_buffer_type_t type, size_t size) {
    Device * device = device_of(type);
    bool own = !is_host(type);
    if (own && size > device->memory - device->used) return nullptr;
    void * base = mmap(nullptr, size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    if (own) device->used += size;
    ggml_backend_buffer_i calls{};
    calls.free_buffer = buffer_free;
    calls.get_base = buffer_base;
    calls.clear = buffer_clear;
    calls.set_tensor = buffer_set;
    calls.get_tensor = buffer_get;
    return ggml_backend_buffer_init(type, calls, base, size);
}
static size_t device_alignment(ggml_backend_buffer_type_t) { return 128; }
static size_t host_alignment(ggml_backend_buffer_type_t) { return 32; }
static bool no(ggml_backend_buffer_type_t) { return false; }
static bool yes(ggml_backend_buffer_type_t) { return true; }

// ggml_cuda_flash_attn_ext_get_alloc_size, for the kernels that want halves
static size_t halves(const ggml_tensor * cache) {
    return cache->type == GGML_TYPE_F16 ? 0 : ((size_t) ggml_nelements(cache) * 2 + 127) / 128 * 128 + 128;
}
static size_t flash_scratch(const ggml_tensor * tensor) {
    if (tensor->op != GGML_OP_FLASH_ATTN_EXT) return 0;
    const ggml_tensor * K = tensor->src[1];
    const ggml_tensor * V = tensor->src[2];
    bool is_view = V->view_src && (V->view_src == K || (V->view_src == K->view_src && V->view_offs == K->view_offs));
    return halves(K) + (is_view ? 0 : halves(V));
}
static size_t alloc_size(ggml_backend_buffer_type_t, const ggml_tensor * tensor) {
    size_t size = ggml_nbytes(tensor) + flash_scratch(tensor);
    int64_t row = tensor->ne[0];
    if (ggml_is_quantized(tensor->type) && row % 512 != 0) size += ggml_row_size(tensor->type, 512 - row % 512);
    return size;
}

// Backends: streams that do nothing, or have the CPU do it.
static ggml_backend_t cpu;
static void start_cpu() {
    cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);
    auto set_threads = (ggml_backend_set_n_threads_t) ggml_backend_reg_get_proc_address(
        ggml_backend_dev_backend_reg(ggml_backend_get_device(cpu)), "ggml_backend_set_n_threads");
    if (set_threads) set_threads(cpu, 1);
}
static const char * device_name(ggml_backend_dev_t device) { return ((Device *) device->context)->name.c_str(); }
static const char * backend_name(ggml_backend_t backend) { return device_name(backend->device); }
static void backend_free(ggml_backend_t backend) { delete backend; }
static ggml_status compute(ggml_backend_t, ggml_cgraph * graph) {
    return cpu ? ggml_backend_graph_compute(cpu, graph) : GGML_STATUS_SUCCESS;
}
static void synchronize(ggml_backend_t) {}
static void set_async(ggml_backend_t, ggml_tensor * tensor, const void * data, size_t offset, size_t size) {
    buffer_set(nullptr, tensor, data, offset, size);
}
static void get_async(ggml_backend_t, const ggml_tensor * tensor, void * data, size_t offset, size_t size) {
    buffer_get(nullptr, tensor, data, offset, size);
}
static void event_record(ggml_backend_t, ggml_backend_event_t) {}
static void event_await(ggml_backend_t, ggml_backend_event_t) {}
static ggml_guid guid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static ggml_backend_t backend_init(ggml_backend_dev_t device, const char *) {
    auto * backend = new ggml_backend{};
    backend->guid = &guid;
    backend->iface.get_name = backend_name;
    backend->iface.free = backend_free;
    backend->iface.graph_compute = compute;
    backend->iface.synchronize = synchronize;
    backend->iface.set_tensor_async = set_async;
    backend->iface.get_tensor_async = get_async;
    backend->iface.event_record = event_record;
    backend->iface.event_wait = event_await;
    backend->device = device;
    return backend;
}

// Devices: asynchronous, with events, which is what a pipeline asks for.
static void device_memory(ggml_backend_dev_t device, size_t * free, size_t * total) {
    auto * one = (Device *) device->context;
    *total = one->memory;
    *free = one->memory - one->used;
}
static enum ggml_backend_dev_type device_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }
static void device_props(ggml_backend_dev_t device, ggml_backend_dev_props * props) {
    memset(props, 0, sizeof *props);
    props->name = props->device_id = device_name(device);
    props->description = "fake";
    props->type = device_type(device);
    device_memory(device, &props->memory_free, &props->memory_total);
    props->caps.async = props->caps.host_buffer = props->caps.events = true;
    props->caps.mmap_support = true;
}
static ggml_backend_buffer_type_t device_buffers(ggml_backend_dev_t device) { return &((Device *) device->context)->buffers; }
static ggml_backend_buffer_type_t host_buffers(ggml_backend_dev_t) { return &devices[0]->host; }
static bool supports_op(ggml_backend_dev_t, const ggml_tensor *) { return true; }
static bool supports_buffers(ggml_backend_dev_t device, ggml_backend_buffer_type_t type) { return type == device_buffers(device); }
static bool offload_op(ggml_backend_dev_t, const ggml_tensor * op) {  // as ggml-cuda: from 32 rows on
    switch (op->op) {
        case GGML_OP_GET_ROWS: return false;
        case GGML_OP_MUL_MAT: return op->ne[1] >= 32;
        case GGML_OP_MUL_MAT_ID:
        case GGML_OP_ROPE:
        case GGML_OP_ROPE_BACK: return op->ne[2] >= 32;
        default: return ggml_nrows(op) >= 32;
    }
}
static ggml_backend_event_t event_new(ggml_backend_dev_t device) { return new ggml_backend_event{device, nullptr}; }
static void event_free(ggml_backend_dev_t, ggml_backend_event_t event) { delete event; }
static void event_wait(ggml_backend_dev_t, ggml_backend_event_t) {}

static const char * registry_name(ggml_backend_reg_t) { return "FAKE"; }
static size_t registry_count(ggml_backend_reg_t) { return devices.size(); }
static ggml_backend_dev_t registry_device(ggml_backend_reg_t, size_t index) { return &devices[index]->device; }
static void * registry_address(ggml_backend_reg_t, const char *) { return nullptr; }

// Devices `name`0, `name`1, ... with so many bytes each.
void fake_register(const char * name, const std::vector<size_t> & memory, bool computes) {
    for (size_t bytes : memory) {
        auto * one = new Device();
        one->name = name + std::to_string(devices.size());
        one->memory = bytes;
        one->buffers.iface = {buffer_name, buffer_alloc, device_alignment, nullptr, alloc_size, no};
        one->host.iface = {host_name, buffer_alloc, host_alignment, nullptr, nullptr, yes};
        one->buffers.device = one->host.device = &one->device;
        one->buffers.context = one->host.context = one;
        one->device.iface = {device_name, device_name, device_memory, device_type, device_props,
                             backend_init, device_buffers, host_buffers, nullptr, supports_op,
                             supports_buffers, offload_op, event_new, event_free, event_wait};
        one->device.reg = &registry;
        one->device.context = one;
        devices.push_back(one);
    }
    registry.api_version = GGML_BACKEND_API_VERSION;
    registry.iface = {registry_name, registry_count, registry_device, registry_address};
    ggml_backend_register(&registry);
    if (computes) start_cpu();
}

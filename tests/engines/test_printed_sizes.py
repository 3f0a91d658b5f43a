from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import MemoryPart
from local_swarm.engines import printed_sizes

CPU = """\
0.00.010.867 I load_tensors:   CPU_Mapped model buffer size =     1.03 MiB
0.00.018.080 I llama_context:        CPU  output buffer size =     0.02 MiB
0.00.020.248 I llama_kv_cache:        CPU KV buffer size =    64.00 MiB
0.00.060.416 I llama_kv_cache: size =   64.00 MiB ( 16384 cells,   4 layers,  4/4 seqs)
0.00.062.066 I sched_reserve:        CPU compute buffer size =    19.89 MiB
0.00.070.882 I srv    load_model: prompt cache is enabled, size limit: 256 MiB
"""
GPU = """\
load_tensors:   CPU_Mapped model buffer size =   292.36 MiB
load_tensors:        CUDA0 model buffer size =  4168.09 MiB
llama_context:  CUDA_Host  output buffer size =     2.32 MiB
llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =   100.00 MiB
llama_memory_recurrent:      CUDA0 RS buffer size =    3.50 MiB
sched_reserve:      CUDA0 compute buffer size =   304.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    15.01 MiB
"""


def test_what_a_cpu_worker_prints() -> None:
    assert printed_sizes(CPU.splitlines()) == (
        MemoryPart("cpu", "weights", round(1.03 * MIB)),
        MemoryPart("cpu", "output", round(0.02 * MIB)),
        MemoryPart("cpu", "kv", 64 * MIB),
        MemoryPart("cpu", "compute", round(19.89 * MIB)),
    )


def test_host_buffers_of_a_gpu_are_the_cpus_and_two_caches_are_added() -> None:
    sizes = {(p.device, p.kind): p.bytes for p in printed_sizes(GPU.splitlines())}
    assert sizes["CUDA0", "kv"] == 548 * MIB
    assert sizes["CUDA0", "recurrent"] == round(3.5 * MIB)
    assert sizes["cpu", "compute"] == round(15.01 * MIB)
    assert sizes["cpu", "output"] == round(2.32 * MIB)


def test_nothing_printed_is_nothing_read() -> None:
    assert printed_sizes(["model loaded", ""]) == ()

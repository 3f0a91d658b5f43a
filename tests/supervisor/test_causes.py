from __future__ import annotations

import signal

import pytest

from local_swarm.domain.worker import Cause
from local_swarm.supervisor.causes import Exit, diagnose

# What llama.cpp's server, and our runners of its wheels, write.
WORDS = [
    (
        "srv  start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 1",
        Cause.PORT_TAKEN,
    ),
    (
        "lswarm xllamacpp: cannot listen on 127.0.0.1 port 9: Address already in use",
        Cause.PORT_TAKEN,
    ),
    ("error: invalid argument: --no-such-flag", Cause.BAD_FLAGS),
    ('error while handling argument "-c": stoi', Cause.BAD_FLAGS),
    ("lswarm xllamacpp: The engine xllamacpp does not know '--x'; the", Cause.BAD_FLAGS),
    ("llama_model_load: error loading model: invalid vector subscript", Cause.BAD_MODEL),
    (
        "gguf_init_from_file_impl: invalid magic characters: 'ABCD', expected 'GGUF'",
        Cause.BAD_MODEL,
    ),
    ("lswarm xllamacpp: the model x.gguf is no GGUF file", Cause.BAD_MODEL),
    (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 42.00 MiB on device 0: "
        "cudaMalloc failed: out of memory",
        Cause.DEVICE_MEMORY,
    ),
    ("ggml_gallocr_reserve_n: failed to allocate ROCm0 buffer of size 99", Cause.DEVICE_MEMORY),
    ("ggml_vulkan: Device memory allocation of size 1073741824 failed.", Cause.DEVICE_MEMORY),
    ("llama_model_load: error loading model: unable to allocate CUDA0 buffer", Cause.DEVICE_MEMORY),
    (
        "ggml_metal_graph_compute: command buffer 0 failed with status 5: Insufficient Memory",
        Cause.DEVICE_MEMORY,
    ),
    ("alloc_tensor_range: failed to allocate CPU buffer of size 12", Cause.OUT_OF_MEMORY),
    ("terminate called after throwing an instance of 'std::bad_alloc'", Cause.OUT_OF_MEMORY),
    ("something else", Cause.EXITED),
]


@pytest.mark.parametrize(("line", "cause"), WORDS)
def test_the_last_words_of_a_start_tell_why_it_ended(line: str, cause: Cause) -> None:
    assert diagnose(Exit(1, None, ["loading", line, "exiting"])) is cause


@pytest.mark.parametrize(
    ("line", "cause"),
    [(line, cause) for line, cause in WORDS if cause not in (Cause.EXITED,)],
)
def test_of_a_worker_at_work_only_words_of_memory_count(line: str, cause: Cause) -> None:
    memory = cause in (Cause.OUT_OF_MEMORY, Cause.DEVICE_MEMORY)
    expected = cause if memory else Cause.EXITED
    assert diagnose(Exit(1, None, [line], was_ready=True)) is expected


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE"])
def test_a_fault_is_a_crash(name: str) -> None:
    assert diagnose(Exit(None, int(getattr(signal, name)))) is Cause.CRASHED


def test_an_abort_for_want_of_memory_is_not_just_a_crash() -> None:
    lines = ["CUDA error: out of memory"]
    assert diagnose(Exit(None, 6, lines, was_ready=True)) is Cause.DEVICE_MEMORY


@pytest.mark.parametrize("number", [1, 2, 9, 15])
def test_a_signal_from_outside_is_a_kill_whatever_was_said(number: int) -> None:
    assert diagnose(Exit(None, number, ["error loading model"])) is Cause.KILLED


def test_a_kill_while_the_kernel_killed_for_memory_is_out_of_memory() -> None:
    assert diagnose(Exit(None, 9, oom_killed=True)) is Cause.OUT_OF_MEMORY
    assert diagnose(Exit(None, 15, oom_killed=True)) is Cause.KILLED


def test_a_program_that_is_not_there_and_flags_of_our_runners_are_told_by_their_code() -> None:
    assert diagnose(Exit(127, None)) is Cause.NOT_RUN
    assert diagnose(Exit(2, None)) is Cause.BAD_FLAGS
    assert diagnose(Exit(127, None, was_ready=True)) is Cause.EXITED

"""Why a worker's process ended: from its exit, its signal and its last words. Pure.

The words are those of llama.cpp (ggml-backend, llama-model-loader, common/arg.cpp, tools/server)
and of our runners (`engines/*_runner.py`); no other sign tells a bad model from a taken port, for
llama-server ends with 1 in either case. Words count only while a life was not ready yet, except
those of an allocation that failed: a log line of a worker at work must not pass for a cause.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from local_swarm.domain.worker import Cause

NOT_RUN_CODE = 127
USAGE_CODE = 2  # of our runners
FAULTS = frozenset(
    int(getattr(signal, name))
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
    if hasattr(signal, name)
)
SIGKILL = 9

_BACKEND = r"(?:cuda|hip|rocm|sycl|metal|vulkan|opencl|cann|musa)"
_ALLOCATE = r"(?:failed|unable) to allocate"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_DEVICE_MEMORY = _any_of(
    rf"{_ALLOCATE} {_BACKEND}\w* buffer",
    rf"{_BACKEND}.{{0,120}}(?:out of (?:device )?memory|insufficient memory|{_ALLOCATE})",
    r"(?:cuda|hip)Malloc failed",
    r"device memory allocation of size \d+ failed",
    r"ErrorOutOfDeviceMemory|ErrorOutOfMemory",
)
_HOST_MEMORY = _any_of(
    r"std::bad_alloc|cannot allocate memory|MemoryError",
    rf"{_ALLOCATE} (?:a )?(?:CPU\w* )?buffer",
    r"posix_memalign failed|ggml_aligned_malloc: insufficient memory|out of memory",
)
_PORT = _any_of(r"couldn'?t bind", r"address already in use", r"cannot listen on")
_FLAGS = _any_of(
    r"error: (?:invalid|unknown) argument",
    r"error while handling argument",
    r"does not know '",
    r"the value of \S+ cannot be used",
    r"cannot be told",
)
_MODEL = _any_of(
    r"error loading model",
    r"failed to load model",
    r"is no GGUF file|cannot read the model",
    r"unknown model architecture|invalid magic",
    r"tensor .{1,80} not found|data is not within the file",
)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended, what it wrote last, whether it had been ready, and whether the kernel
    has killed something for memory during its life."""

    code: int | None
    signal: int | None
    lines: Sequence[str] = ()
    was_ready: bool = False
    oom_killed: bool = False


def diagnose(exit_: Exit) -> Cause:
    """Never ASKED, HUNG or TOO_SLOW: those only its owner knows."""
    if exit_.signal == SIGKILL and exit_.oom_killed:
        return Cause.OUT_OF_MEMORY
    if exit_.signal is not None and exit_.signal not in FAULTS:
        return Cause.KILLED
    text = "\n".join(exit_.lines)
    if _DEVICE_MEMORY.search(text):
        return Cause.DEVICE_MEMORY
    if _HOST_MEMORY.search(text):
        return Cause.OUT_OF_MEMORY
    if exit_.signal is not None:
        return Cause.CRASHED
    return Cause.EXITED if exit_.was_ready else _of_start(exit_.code, text)


def _of_start(code: int | None, text: str) -> Cause:
    if code == NOT_RUN_CODE:
        return Cause.NOT_RUN
    if _PORT.search(text):
        return Cause.PORT_TAKEN
    if code == USAGE_CODE or _FLAGS.search(text):
        return Cause.BAD_FLAGS
    return Cause.BAD_MODEL if _MODEL.search(text) else Cause.EXITED

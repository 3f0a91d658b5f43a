"""The process in which foreign code runs."""

from __future__ import annotations

import io
import os
import random
import resource
import sys
import types
from collections.abc import Callable
from functools import partial

from . import namespaces, seccomp
from .canonical import TooMuch, canonical, class_name
from .results import LIMIT, RAISED, VALUE, Result, packed

RESULT_FD = 3
_MOST_FDS = 64  # the zygote's limit: no descriptor lies above
_STACK_BYTES = 8 * 1024 * 1024
_ADDRESS_BYTES = 2 * 1024 * 1024 * 1024
MODULE = "answer"
_FILTER = seccomp.assembled(RESULT_FD)


def wall_in(result_fd: int, parent: int, memory_bytes: int, cpu_s: int) -> None:
    """Leaves this process the pipe for its results and what pure computing needs, for ever."""
    os.dup2(result_fd, RESULT_FD)
    os.closerange(0, RESULT_FD)
    os.closerange(RESULT_FD + 1, _MOST_FDS)
    namespaces.die_with_parent(parent)
    _limit(memory_bytes, cpu_s)
    seccomp.confine(_FILTER)


def _limit(memory_bytes: int, cpu_s: int) -> None:
    for kind, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, memory_bytes + _ADDRESS_BYTES),
        (resource.RLIMIT_STACK, _STACK_BYTES),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(kind)[1]  # the program's own may be tighter
        kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (kept, kept))


def answer(source: str, expressions: list[str], most_chars: int) -> None:
    """Runs the program, then the expressions, and writes a record for each. Call it walled in."""
    _make_bare()
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    names = module.__dict__
    ended, text = _outcome(partial(_run, source, names), most_chars)
    _write((ended, text if ended == RAISED else ""))
    if ended == VALUE:
        for expression in expressions:
            _write(_outcome(partial(_value, expression, names), most_chars))


def _make_bare() -> None:
    """The same for every job: no streams, and the same random numbers."""
    sys.stdin = sys.stdout = sys.stderr = _Nowhere()
    random.seed(0)


def _run(source: str, names: dict[str, object]) -> None:
    exec(compile(source, "<answer>", "exec"), names)


def _value(expression: str, names: dict[str, object]) -> object:
    return eval(compile(expression.strip(), "<call>", "eval"), names)


def _outcome(act: Callable[[], object], most_chars: int) -> Result:
    try:
        return VALUE, canonical(act(), most_chars)
    except TooMuch:
        return LIMIT, ""
    except BaseException as exc:  # SystemExit and KeyboardInterrupt are answers like others
        return RAISED, class_name(exc)


def _write(result: Result) -> None:
    os.write(RESULT_FD, packed(*result))


class _Nowhere(io.TextIOBase):
    """Standard streams: nothing to read, and what is written is gone."""

    def write(self, text: str) -> int:
        return len(text)

    def read(self, size: int | None = -1) -> str:
        return ""

    def readline(self, size: int = -1) -> str:  # type: ignore[override]
        return ""

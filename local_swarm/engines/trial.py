"""Starts an engine's program for nothing but to see that it starts: it loads its libraries and the
drivers of the devices, lists these, and ends. A broken driver or build crashes here, not in us."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from local_swarm.engines import llama_cpp_python, xllamacpp
from local_swarm.engines.base import LIST_ENVIRONMENT, Engine
from local_swarm.engines.environment import DROPPED
from local_swarm.engines.llama_server import LlamaServer

TIMEOUT_S = 3.5
_RUNNERS = {"xllamacpp": xllamacpp.RUNNER, "llama-cpp-python": llama_cpp_python.RUNNER}


@dataclass(frozen=True, slots=True)
class Trial:
    """How the program ended: its exit code, a signal as a negative number, or None where it did
    not start, or, with `is_late`, did not end. `words` are the last it said."""

    code: int | None
    words: str = ""
    is_late: bool = False


def tried(engine: Engine, *, timeout_s: float = TIMEOUT_S) -> Trial:
    """Blocks until the program ends, `timeout_s` at most. Raises nothing."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}
    try:
        done = subprocess.run(
            [*_program(engine), "--list-devices"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**kept, **LIST_ENVIRONMENT},
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Trial(None, f"it did not end within {timeout_s:g} s", is_late=True)
    except (OSError, ValueError) as error:
        return Trial(None, str(error))
    lines = done.stdout.decode(errors="replace").split("\n")
    words = [line.strip() for line in lines if line.strip()]
    return Trial(done.returncode, words[-1][:200] if words else "it said nothing")


def _program(engine: Engine) -> tuple[str, ...]:
    if isinstance(engine, LlamaServer):
        return (engine.program() or engine.path,)
    return (sys.executable, str(_RUNNERS[engine.name]))

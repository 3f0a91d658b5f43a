"""A child that is started for what it prints and ended when it has said it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from local_swarm.domain.launch import LaunchSpec
from local_swarm.engines.environment import DROPPED
from local_swarm.engines.leash import ENDED
from local_swarm.engines.printed import tells_size

LEASH = Path(__file__).with_name("leash.py")
CHUNK_BYTES = 65536
LONGEST_LINE_BYTES = 65536  # the rest of a longer one is dropped
END_PATIENCE_S = 5.0
GIVEN_UP = "common_fit_params:"  # the dry run is over, and the engine goes on to load the model

log = logging.getLogger(__name__)


async def size_lines(spec: LaunchSpec, *, timeout_s: float) -> tuple[str, ...] | None:
    """Starts `spec` and returns the lines about sizes, up to the last one: compute.

    Empty when it ends of itself, or goes on to load, before that. None when it could not say: it
    did not start, was killed, or `timeout_s` was over, as on a busy machine. The child and all it
    started are gone when this returns or raises, and when the process that called it dies. Raises
    nothing of its own but what cancels it.
    """
    try:
        async with _child(spec) as output:
            return await asyncio.wait_for(_read(output), timeout_s)
    except (OSError, asyncio.TimeoutError) as error:
        log.debug("the engine %s was not heard: %s", spec.engine, error or "it took too long")
        return None


async def _read(output: asyncio.StreamReader) -> tuple[str, ...] | None:
    """The lines about sizes; compute buffers, one for each device, are printed last and at once."""
    kept: list[str] = []
    latest = ""
    async for line in _lines(output):
        kind = tells_size(line)
        if kind:
            kept.append(line)
        elif GIVEN_UP in line or line == ENDED:
            log.debug("the engine did not tell its sizes; its last line: %s", latest)
            return ()
        elif line and kept and tells_size(kept[-1]) == "compute":
            return tuple(kept)
        latest = line or latest
    log.debug("the engine was killed, or did not start; its last line: %s", latest)
    return None


async def _lines(output: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines as they come, however long. One that the end cuts off is not given."""
    rest = b""
    while chunk := await output.read(CHUNK_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace")
        rest = rest[:LONGEST_LINE_BYTES]


@contextlib.asynccontextmanager
async def _child(spec: LaunchSpec) -> AsyncIterator[asyncio.StreamReader]:
    """What the child prints. Leads a group of its own, so that nothing of it is left behind."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(LEASH),
        *spec.argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_environment(os.environ, spec.env),
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.stdin.close()
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Waits until the child is gone; also when cancelled meanwhile.

    Its output is read to the end, since asyncio calls a process ended only after that.
    """
    ending = asyncio.ensure_future(_drained(process))
    try:
        await asyncio.wait_for(asyncio.shield(ending), END_PATIENCE_S)
    except BaseException as error:
        _kill(process)
        await ending
        if not isinstance(error, asyncio.TimeoutError):
            raise


async def _drained(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while await process.stdout.read(CHUNK_BYTES):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _environment(parent: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in parent.items() if not k.startswith(DROPPED)}
    return {**kept, **added, "GGML_NO_BACKTRACE": "1"}  # a crash would wait for a debugger

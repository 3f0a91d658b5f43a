"""A child's words reach its log, by the event loop and by a thread (as on Windows)."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from local_swarm.supervisor.logs import WorkerLog
from local_swarm.supervisor.output import LoopOutput, ThreadOutput
from tests.swarms import PATIENCE_S

KINDS = pytest.mark.parametrize("kind", [LoopOutput, ThreadOutput])


async def said(log: WorkerLog, line: str) -> None:
    while log.tail()[-1:] != (line,):  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@KINDS
async def test_lines_come_as_they_are_written(kind: type[LoopOutput] | type[ThreadOutput]) -> None:
    reader, writer = os.pipe()
    log = WorkerLog("w", None)
    output = kind(reader, log)
    for line in ("one", "two"):
        os.write(writer, f"{line}\n".encode())
        await asyncio.wait_for(said(log, line), PATIENCE_S)
    os.write(writer, b"half a li")
    os.close(writer)
    await output.finish()
    assert log.tail() == ("one", "two", "half a li")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


@KINDS
async def test_a_flood_arrives_whole(kind: type[LoopOutput] | type[ThreadOutput]) -> None:
    reader, writer = os.pipe()
    log = WorkerLog("w", None)
    output = kind(reader, log)

    def flood() -> None:
        with open(writer, "wb") as pipe:
            for n in range(50_000):
                pipe.write(b"%d\n" % n)

    await asyncio.to_thread(flood)
    await output.finish()
    assert log.tail()[-1] == "49999"
    assert "worker output" not in [thread.name for thread in threading.enumerate()]


async def test_the_event_loop_waits_for_nobody_who_holds_the_pipe() -> None:
    reader, writer = os.pipe()
    log = WorkerLog("w", None)
    output = LoopOutput(reader, log)
    os.write(writer, b"last words\n")
    await output.finish()
    await output.finish()
    assert log.tail() == ("last words",)
    os.close(writer)

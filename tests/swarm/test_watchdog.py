from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.swarm import watchdog
from tests.swarm.listener import Listener, listening

BEAT = "WATCHDOG=1"
EVERY_S = 0.02


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    with listening(tmp_path, monkeypatch) as listener:
        yield listener


class Checks:
    """Says what a test wants, and lets it wait for the next checks."""

    def __init__(self, why: str | None = None) -> None:
        self.why = why
        self.made = 0
        self._more = asyncio.Event()

    async def __call__(self) -> str | None:
        self.made += 1
        self._more.set()
        return self.why

    async def more(self, count: int) -> None:
        """Waits until so many more checks were made."""
        wanted = self.made + count
        while self.made < wanted:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0", "WATCHDOG_PID": "7"}, None),
        ({"WATCHDOG_USEC": "-5", "WATCHDOG_PID": "7"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_it_beats_at_half_the_time_allowed_and_only_where_it_is_meant(env, expected) -> None:
    assert watchdog.interval(env, pid=7) == expected


def test_this_process_is_the_one_that_is_meant() -> None:
    env = {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    assert watchdog.interval(env) == 1.0


async def test_it_beats_while_all_is_well(systemd: Listener) -> None:
    async with watchdog.watched(Checks(), EVERY_S):
        for _ in range(3):
            assert await systemd.next() == [BEAT]
    systemd.waiting()
    await asyncio.sleep(0)
    assert systemd.waiting() == []


async def test_one_bad_check_is_forgiven_and_the_second_stops_the_beat(
    systemd: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    checks = Checks("w0 is left alone")
    with caplog.at_level(logging.ERROR):
        async with watchdog.watched(checks, EVERY_S):
            await checks.more(5)
            assert systemd.waiting() == [BEAT]
            checks.why = None
            await checks.more(2)
            assert BEAT in await systemd.next()
            checks.why = "the gateway is deaf"
            await checks.more(4)
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 2, "one line for each silence"
    assert "w0 is left alone" in told[0].getMessage()
    assert "the gateway is deaf" in told[1].getMessage()


async def test_a_check_that_fails_or_hangs_is_a_bad_check(systemd: Listener) -> None:
    made = asyncio.Event()

    async def hangs() -> str | None:
        made.set()
        await asyncio.Event().wait()
        return None

    async def breaks() -> str | None:
        raise ZeroDivisionError

    assert "took longer" in (await watchdog.judged(hangs, 0.01) or "")
    assert made.is_set()
    assert "ZeroDivisionError" in (await watchdog.judged(breaks, 1.0) or "")


async def test_nobody_watching_means_no_beat_and_no_task(
    systemd: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    before = asyncio.all_tasks()
    async with watchdog.watched(Checks()):
        assert asyncio.all_tasks() == before
    assert systemd.waiting() == []


class Crew:
    def __init__(self, why: str | None = None) -> None:
        self._why = why

    def unsound(self) -> str | None:
        return self._why


async def test_a_gateway_that_answers_and_workers_that_are_cared_for_are_sound() -> None:
    answer = _answering(b"HTTP/1.1 503 Full\r\n\r\n")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await watchdog.sound_of(Crew(), url)() is None
        assert await watchdog.sound_of(Crew("w0 is alone"), url)() == "w0 is alone"


@pytest.mark.parametrize(
    ("said", "why"), [(b"", "without an answer"), (b"SSH-2.0-x\r\n", "not HTTP")]
)
async def test_a_port_that_does_not_speak_http_is_no_gateway(said: bytes, why: str) -> None:
    async with await asyncio.start_server(_answering(said), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert why in (await watchdog.unanswered("127.0.0.1", port, 5.0) or "")


async def test_a_gateway_that_is_deaf_or_gone_is_told() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()  # the kernel takes the connection, and nobody ever reads
        port = deaf.getsockname()[1]
        assert "within 0 s" in (await watchdog.unanswered("127.0.0.1", port, 0.05) or "")
    assert "cannot be reached" in (await watchdog.unanswered("127.0.0.1", port, 5.0) or "")


def _answering(said: bytes):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()
        await writer.wait_closed()

    return answer

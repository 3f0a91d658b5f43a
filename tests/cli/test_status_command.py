"""`lswarm status` of a swarm of fakes, as people and scripts see it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.console import Console

from local_swarm.cli import render
from local_swarm.cli.render import running, terminal
from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor import runfile
from local_swarm.supervisor.runfile import ProcessId, RunFile
from tests.cli.following import PATIENCE_S, following
from tests.e2e.conftest import LSWARM
from tests.swarms import Shape, Swarm, states, swarm_of, until

MIB = 1 << 20
PORT = 18098


def worker(**facts):
    return {
        "id": "w0", "engine": "fake", "state": "ready", "pid": 7, "slots": 4, "slots_busy": 1,
        "restarts": 0, "requests": 3, "latency_ms_avg": None, "tokens_per_s": None,
        "planned_bytes": 20 * MIB, "observed_bytes": 10 * MIB, **facts,
    }  # fmt: skip


def body(*workers, **facts):
    queue = {"in_flight": 1, "waiting": 0}
    return {
        "model": "m[1]", "ready": True, "uptime_s": 93784.2, "voters": 3, "queue": queue,
        "peers": [], "workers": list(workers), **facts,
    }  # fmt: skip


@pytest.fixture
def out(monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=False, width=150, highlight=False)
    monkeypatch.setattr(terminal, "Console", lambda **_: console)
    return text


def shown(out, *workers, **facts) -> list[str]:
    render.status("http://h:1", body(*workers, **facts))
    return out.getvalue().splitlines()


def test_a_swarm_is_told_in_one_line_and_its_workers_in_a_table(out):
    head, titles, row = shown(out, worker())
    assert head == "m[1] at http://h:1/v1: ready, up 1 d 2 h, 3 voters, 1 in flight, 0 waiting"
    assert titles.split() == [
        "worker", "engine", "state", "pid", "slots", "restarts", "requests", "planned", "observed"
    ]  # fmt: skip
    assert row.split()[:7] == ["w0", "fake", "ready", "7", "1/4", "0", "3"]


def test_a_narrow_terminal_shows_fewer_columns_and_breaks_no_cell(monkeypatch):
    held = worker(rss_bytes=90 * MIB, pss_bytes=30 * MIB, latency_ms_avg=71.2, tokens_per_s=224.6)
    for width, titles in (
        (64, ["worker", "state", "slots", "restarts", "requests", "ms", "tok/s", "RAM"]),
        (40, ["worker", "state", "slots", "restarts", "RAM"]),
    ):
        text = io.StringIO()
        console = Console(file=text, force_terminal=False, width=width, highlight=False)
        monkeypatch.setattr(terminal, "Console", lambda console=console, **_: console)
        render.status("http://h:1", body(held, held))
        *_, head, first, second = text.getvalue().splitlines()
        assert head.split() == titles
        assert first == second, "one line for each worker"


def test_memory_that_is_held_and_crashes_have_columns_where_there_are_any(out):
    held = worker(rss_bytes=90 * MIB, pss_bytes=30 * MIB, vram_bytes=5 * MIB, crashes=2)
    _, titles, row, other = shown(out, held, worker(id="w1", rss_bytes=40 * MIB, crashes=0))
    assert titles.split()[-2:] == ["RAM", "VRAM"]
    assert "crashes" in titles
    assert row.rstrip().endswith("30.0 MiB  5.0 MiB")
    assert other.rstrip().endswith("40.0 MiB  -")


def test_why_a_worker_is_not_ready_or_smaller_is_said_below(out):
    lines = shown(
        out,
        worker(state="backoff", pid=None, reason="exit 1, bad model"),
        worker(id="w1", reason="signal 9", reduced="the prompt cache"),
        ready=False,
    )
    assert "not ready" in lines[0]
    assert lines[-2:] == [
        "w0 is not ready: exit 1, bad model",
        "w1 runs smaller than planned: the prompt cache",
    ]


def test_what_was_allocated_other_than_planned_is_said(out):
    drift = {"device": "cpu", "kind": "kv", "planned_bytes": MIB, "observed_bytes": 3 * MIB}
    less = {"device": "CUDA0", "kind": "weights", "planned_bytes": MIB, "observed_bytes": 0}
    lines = shown(out, worker(drift=[drift, less]))
    assert lines[-2:] == [
        "w0 allocated 2.0 MiB more than planned on cpu (kv)",
        "w0 allocated 1.0 MiB less than planned on CUDA0 (weights)",
    ]


def test_a_swarm_that_sleeps_is_not_called_broken(out):
    assert "asleep until the next request" in shown(out, ready=False, asleep=True)[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (125, "2 min 5 s"), (3600, "1 h"),
     (7260, "2 h 1 min"), (86400, "1 d"), (93784, "1 d 2 h"), (86400 * 400, "400 d")],
)  # fmt: skip
def test_durations(seconds, text):
    assert running.duration(seconds) == text


def test_one_line_for_logs_tells_states_and_reasons():
    gone = worker(id="w1", state="failed", restarts=4, reason="exit 1")
    line = render.status_line("http://h:1", body(worker(), gone), "")
    assert line == (
        "m[1] at http://h:1/v1: ready; w0 ready, w1 failed, 4 restarts (w1 is not ready: exit 1)"
    )
    assert render.status_line("", None, "No swarm is running.") == "No swarm is running."


@asynccontextmanager
async def announced(home: Path, shape: Shape) -> AsyncIterator[Swarm]:
    """A swarm of fakes that `lswarm` commands with this home find."""
    async with swarm_of(shape) as swarm:
        me = ProcessId.of(os.getpid())
        path = home / "run" / f"swarm-{PORT}.json"
        runfile.write(path, RunFile(me, swarm.gateway.url, "token", "control", "fake"))
        try:
            yield swarm
        finally:
            path.unlink()


async def lswarm(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LSWARM_HOME": str(home)}
    return await asyncio.to_thread(
        subprocess.run, [*LSWARM, *args], env=env, capture_output=True, text=True, timeout=30
    )


async def test_status_and_its_json(tmp_path):
    async with announced(tmp_path, Shape(workers=2)):
        plain = await lswarm(tmp_path, "status")
        assert plain.returncode == 0, plain.stderr
        assert "w1" in plain.stdout
        told = json.loads((await lswarm(tmp_path, "status", "--json")).stdout)
        assert [w["state"] for w in told["workers"]] == ["ready", "ready"]
    gone = await lswarm(tmp_path, "status")
    assert gone.returncode == 8


async def test_watching_tells_a_death_at_once_and_each_change_once(tmp_path):
    """The interval is an hour: only the swarm's own events can tell it."""
    async with announced(tmp_path, Shape(script={"load_s": 0.5})) as swarm:
        with following(tmp_path, "status", "--watch", "--interval", "3600") as command:
            first = await asyncio.to_thread(command.line)
            assert "w0 ready" in first
            swarm.kill()
            dead = await asyncio.to_thread(command.line)
            assert "w0 starting" in dead or "w0 backoff" in dead
            await until(swarm.fleet, lambda: states(swarm.fleet) == [WorkerState.READY])
            back = await asyncio.to_thread(command.until, "w0 ready")
            assert "1 restarts" in back
            assert await asyncio.to_thread(command.interrupt) == 0
            assert command.errors() == ""


async def test_watching_goes_on_over_a_restart_of_the_swarm(tmp_path):
    with following(tmp_path, "status", "--watch", "--interval", "0.2", "--json") as command:
        assert json.loads(await asyncio.to_thread(command.line)) == {"running": False}
        for _ in range(2):
            async with announced(tmp_path, Shape()):
                assert json.loads(await asyncio.to_thread(command.line))["ready"] is True
            while "workers" in (told := json.loads(await asyncio.to_thread(command.line))):
                pass
            assert told == {"running": False}
        command.stop_reading()
        async with announced(tmp_path, Shape()):
            assert await asyncio.to_thread(command.process.wait, PATIENCE_S) == 0
        assert command.errors() == ""


async def test_on_a_terminal_it_is_shown_in_place(tmp_path):
    async with announced(tmp_path, Shape()):
        text = await asyncio.to_thread(_on_a_terminal, tmp_path, b"w0")
    assert b"\x1b[?1049h" not in text  # not the other screen: what was above stays
    assert b"\x1b[?25h" in text  # the cursor is back


def _on_a_terminal(home: Path, until_seen: bytes) -> bytes:
    """What `lswarm status --watch` writes to a terminal until it is interrupted."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo terminals")
    ours, theirs = pty.openpty()
    env = {**os.environ, "LSWARM_HOME": str(home), "TERM": "xterm", "COLUMNS": "120"}
    command = subprocess.Popen(
        [*LSWARM, "status", "--watch"], env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    text, pressed = b"", False
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
            if until_seen in text and not pressed:
                command.send_signal(signal.SIGINT)
                pressed = True
    except OSError:  # how Linux tells that the other end is closed
        pass
    finally:
        os.close(ours)
        assert command.wait(PATIENCE_S) == 0, text
    return text


def test_an_interval_of_nothing_is_a_mistake(tmp_path):
    with following(tmp_path, "status", "--watch", "--interval", "0") as command:
        assert command.process.wait(PATIENCE_S) == 2

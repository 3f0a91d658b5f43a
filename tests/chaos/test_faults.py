"""Children, clients and machines that misbehave, one way at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.fleet import Fleet
from tests.chaos.census import Census, settled
from tests.chaos.supervisors import Home, Supervisor, eventually
from tests.chaos.test_disk import ask, crash, still_sound
from tests.swarms import QUICK, Shape, free_port, until

# Children ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        pytest.param({"closes_output": True}, id="closes its output"),
        pytest.param({"sigterm": "ignore"}, id="ignores SIGTERM"),
        pytest.param({"grandchildren": 2}, id="has children"),
        pytest.param({"load_s": 2.0}, id="loads slowly"),
    ],
)
def test_a_child_that_misbehaves_is_kept_and_ended_like_any_other(
    home: Home, script: dict[str, Any]
) -> None:
    home.script(**script)
    swarm = home.up("--ctx", "512", LSWARM_SUPERVISOR__TERM_GRACE_S="0.5", **home.fakes())
    still_sound(swarm.until_ready())


def test_grandchildren_out_of_reach_of_the_group_end_with_their_child(home: Home) -> None:
    home.script(grandchildren=2, grandchildren_apart=True)
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    sleepers = lambda: [p for p in home.processes() if "time.sleep(3600)" in p.cmdline()[-1]]  # noqa: E731
    first = eventually(lambda: len(sleepers()) == 2 and sleepers(), "two grandchildren")
    crash(swarm)
    eventually(lambda: not any(map(alive, first)), "an end of the first life's grandchildren", 20)
    assert swarm.stop() == 0
    home.no_orphans()


def test_a_killed_supervisor_takes_grandchildren_along_at_the_next_start(home: Home) -> None:
    home.script(grandchildren=2, grandchildren_apart=True)
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    swarm.kill()
    home.script()
    again = home.up("--ctx", "512", port=swarm.port, **home.fakes()).until_ready()
    ours = {again.pid, *(child.pid for child in psutil.Process(again.pid).children(recursive=True))}
    assert [p for p in home.processes() if p.pid not in ours] == []
    assert again.stop() == 0
    home.no_orphans()


def test_a_worker_that_hangs_is_killed_and_its_request_answered(home: Home) -> None:
    hangs = {"kind": "hang", "at_token": 2, "lives": 1}
    home.script(faults=[hangs], counter_file=str(home.path / "lives"))
    # It answers all other questions, so that it does not hang: its work stalls.
    impatient = {f"LSWARM_SUPERVISOR__{name}_TIMEOUT_S": "1" for name in ("HANG", "STALL")}
    swarm = home.up("--ctx", "512", **home.fakes(), **impatient).until_ready()
    assert ask(swarm)
    assert swarm.workers()["w0"]["restarts"] == 1
    assert "hangs" in swarm.says()
    still_sound(swarm)


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextlib.contextmanager
def thief(port: int) -> Iterator[list[bytes]]:
    """Somebody else's server on the port: it answers 200 to everything, and notes what it is
    sent."""
    heard: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", port)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


async def test_a_port_that_is_stolen_before_the_child_binds_it_costs_one_life() -> None:
    job, stolen = Shape().job(0), free_port()
    lives: list[int] = []

    def launch() -> LaunchSpec:
        spec = job.launch()
        lives.append(spec.port)
        if len(lives) > 1:
            return spec
        argv = [str(stolen) if word == str(spec.port) else word for word in spec.argv]
        return dataclasses.replace(spec, port=stolen, argv=tuple(argv))

    ready_on: list[str] = []
    with thief(stolen) as heard:
        async with Fleet(
            [dataclasses.replace(job, launch=launch)], QUICK, run_token="thief"
        ) as fleet:
            fleet.subscribe(lambda: ready_on.extend(e.base_url for e in fleet.endpoints()))
            fleet.start()
            await until(fleet, lambda: bool(fleet.keepers["w0"].deaths))
            assert fleet.keepers["w0"].deaths[0].exit_code == 1
            await until(fleet, lambda: fleet.states()["w0"] is WorkerState.READY)
    assert len(lives) == 2
    assert f"http://127.0.0.1:{stolen}" not in ready_on, "the thief passed for the worker"
    assert not [words for words in heard if b"child-key" in words], "the thief got the key"


# Memory -----------------------------------------------------------------------------------


def grow(swarm: Supervisor) -> None:
    """A request under which its worker takes all the memory that it can have."""
    swarm.fault(faults=[{"kind": "grow"}])
    assert ask(swarm)


def test_a_worker_that_may_have_no_more_memory_comes_back_and_the_request_is_served(
    home: Home,
) -> None:
    limited = {"LSWARM_ENGINE__PATH": str(narrow(home, "ulimit -v 300000"))}
    swarm = home.up("--ctx", "512", **{**home.fakes(), **limited}).until_ready()
    grow(swarm)
    assert "out of memory" in swarm.says()
    still_sound(swarm)


def narrow(home: Home, limit: str) -> Path:
    """The fakes' program under a limit."""
    program = Path(home.fakes()["LSWARM_ENGINE__PATH"])
    narrowed = home.path / "narrow-llama-server"
    narrowed.write_text(f'#!/bin/sh\n{limit}\nexec "{program}" "$@"\n')
    narrowed.chmod(0o755)
    return narrowed


CGROUP = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A memory cgroup (v1) of 64 MiB, for the test to move a process into."""
    group = CGROUP / f"chaos-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error.strerror}")
    (group / "memory.limit_in_bytes").write_text(str(64 << 20))
    yield group
    eventually(lambda: not (group / "cgroup.procs").read_text(), "an empty cgroup")
    group.rmdir()


def test_a_worker_that_the_kernel_kills_for_memory_comes_back(home: Home, cgroup: Path) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    (pid,) = swarm.pids()
    (cgroup / "cgroup.procs").write_text(str(pid))
    grow(swarm)
    assert not psutil.pid_exists(pid)
    still_sound(swarm)


# Time -------------------------------------------------------------------------------------

# What a machine shows whose clock was set: the time itself, and with it the time of its boot.
JUMP = """
import builtins, io, os, time
SECONDS = float(os.environ["CHAOS_JUMP_S"])
really, when = builtins.open, time.time
def opened(file, mode="r", *args, **kwargs):
    if file != "/proc/stat":
        return really(file, mode, *args, **kwargs)
    with really(file, "rb") as real:
        lines = real.read().split(b"\\n")
    moved = [b"btime %d" % (int(l[6:]) + SECONDS) if l.startswith(b"btime ") else l for l in lines]
    raw = b"\\n".join(moved)
    return io.BytesIO(raw) if "b" in mode else io.StringIO(raw.decode())
builtins.open = opened
time.time = lambda: when() + SECONDS
"""


@pytest.mark.parametrize("seconds", ["7200", "-7200"])
def test_a_clock_that_jumps_while_it_runs_makes_nobody_a_stranger(
    home: Home, tmp_path: Path, seconds: str
) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    pids, files = swarm.pids(), home.run_files()
    (tmp_path / "sitecustomize.py").write_text(JUMP)
    jumped = {"PYTHONPATH": str(tmp_path), "CHAOS_JUMP_S": seconds}
    shown = home.lswarm("status", "--json", **jumped)
    assert shown.returncode == 0, shown.stderr
    words = ("up", "--model", "builtin:demo", "--port", str(swarm.port))
    second = home.lswarm(*words, **home.fakes(), **jumped)
    assert second.returncode == 7, second.stderr
    assert (swarm.pids(), home.run_files()) == (pids, files)
    down = home.lswarm("down", **jumped)
    assert down.returncode == 0, down.stderr
    assert swarm.process.wait(30) == 0
    home.no_orphans()


def test_the_jump_of_the_test_before_is_one(tmp_path: Path) -> None:
    """psutil, in a process of its own, takes the moved boot for the machine's."""
    (tmp_path / "sitecustomize.py").write_text(JUMP)
    words = [sys.executable, "-c", "import psutil; print(psutil.boot_time())"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "CHAOS_JUMP_S": "7200"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    assert float(done.stdout) == psutil.boot_time() + 7200


# Clients ----------------------------------------------------------------------------------

BODY = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
STAGES = {
    "connected": b"",
    "half a head": HEAD[:40],
    "a head": WHOLE[: -len(BODY)],
    "half a body": WHOLE[:-10],
    "asked": WHOLE,
}


@pytest.mark.parametrize("politely", [True, False], ids=["FIN", "RST"])
def test_clients_that_leave_at_any_stage_leave_nothing(home: Home, politely: bool) -> None:
    home.script(token_s=0.02)
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    assert ask(swarm)
    before = Census.of(swarm.pid)
    for _ in range(3):
        for sent in STAGES.values():
            with left(swarm, sent, politely):
                pass
        for seen in (b"HTTP", b"\r\n\r\n", b"data: "):
            with left(swarm, WHOLE, politely) as connection:
                answer = b""
                while seen not in answer:
                    more = connection.recv(64)
                    assert more, answer
                    answer += more
    idle = {"waiting": 0, "in_flight": 0}
    swarm.until(lambda: swarm.get("/v1/swarm/status")["queue"] == idle, "an empty queue")
    rows = swarm.workers().values
    swarm.until(lambda: not any(row["slots_busy"] for row in rows()), "free slots")
    assert settled(lambda: Census.of(swarm.pid), before) == []
    still_sound(swarm)


@contextlib.contextmanager
def left(swarm: Supervisor, sent: bytes, politely: bool) -> Iterator[socket.socket]:
    """A connection on which so much was sent; it is closed, or reset, at the end."""
    with socket.create_connection(("127.0.0.1", swarm.port), timeout=30) as connection:
        connection.sendall(sent)
        yield connection
        if not politely:
            lingers_not = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingers_not)


# The supervisor itself --------------------------------------------------------------------


def test_a_supervisor_that_was_frozen_goes_on_where_it_was(home: Home) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    row = swarm.workers()["w0"]
    swarm.process.send_signal(signal.SIGSTOP)
    os.kill(row["pid"], signal.SIGKILL)
    frozen = psutil.Process(swarm.pid)
    eventually(lambda: frozen.status() == psutil.STATUS_STOPPED, "a frozen supervisor")
    swarm.process.send_signal(signal.SIGCONT)
    assert ask(swarm)
    assert swarm.workers()["w0"]["restarts"] == 1
    still_sound(swarm)

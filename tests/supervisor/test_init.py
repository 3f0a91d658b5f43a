"""The first process of a container, in a pid namespace of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_swarm.supervisor.init import step_aside
from tests.supervisor.living import eventually, lives

PATIENCE_S = 60.0

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc")
STEP_ASIDE = "from local_swarm.supervisor.init import step_aside; step_aside()\n"


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    try:
        tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `unshare` here")
    if tried.returncode:
        pytest.skip(f"no pid namespaces here: {tried.stderr.strip()}")


@contextmanager
def outside_of(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """What was started, with its lines to read; all of it ends with this, or with PATIENCE_S."""

    def end() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(outside.pid).children(recursive=True):
                process.kill()  # a first process with its whole namespace
        outside.kill()

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as outside:
        impatience = threading.Timer(PATIENCE_S, end)
        impatience.start()
        try:
            yield outside
        finally:
            impatience.cancel()
            end()


@contextmanager
def first_process(
    code: str, *args: str, cwd: Path | None = None, **env: str
) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """The same, and the namespace's PID 1 as seen from here."""
    command = [*UNSHARE, sys.executable, "-c", STEP_ASIDE + code, *args]
    with outside_of(*command, cwd=cwd, env={**os.environ, **env}) as outside:
        eventually(lambda: psutil.Process(outside.pid).children(), "a first process")
        yield outside, psutil.Process(outside.pid).children()[0]


def line_of(outside: subprocess.Popen[str]) -> str:
    assert outside.stdout is not None
    return outside.stdout.readline().strip()


def test_elsewhere_nothing_happens() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    step_aside()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_the_program_goes_on_as_a_child_of_a_small_init() -> None:
    code = """
import os, signal
print(os.getpid() != 1, os.getppid(), sorted(signal.pthread_sigmask(0, ())), flush=True)
signal.pause()
"""
    with first_process(code) as (outside, first):
        assert line_of(outside) == "True 1 []"
        eventually(lambda: "init.py" in " ".join(first.cmdline()), "an init")
        assert first.memory_info().rss < 12e6


@pytest.mark.parametrize(
    ("end", "code"),
    [("raise SystemExit(7)", 7), ("pass", 0), ("os.kill(os.getpid(), 9)", 137)],
)
def test_its_exit_code_is_the_program_s(end: str, code: int) -> None:
    command = [*UNSHARE, sys.executable, "-c", f"{STEP_ASIDE}import os\n{end}"]
    assert subprocess.run(command, check=False, timeout=PATIENCE_S).returncode == code


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_reaches_the_program_once(name: str) -> None:
    code = f"""
import signal
got = []
signal.signal(signal.{name}, lambda *_: got.append(1))
print("ready", flush=True)
signal.pause()
print(len(got), flush=True)
signal.pause()
"""
    with first_process(code) as (outside, first):
        assert line_of(outside) == "ready"
        first.send_signal(signal.Signals[name])
        assert line_of(outside) == "1"


def test_a_ctrl_c_on_a_terminal_is_one_signal_not_two() -> None:
    """The terminal sends it to both; a second one would stop a swarm without mercy."""
    code = """
import signal
got = []
signal.signal(signal.SIGINT, lambda *_: got.append("int"))
signal.signal(signal.SIGTERM, lambda *_: got.append("term"))
print("ready", flush=True)
while "term" not in got:
    signal.pause()
print(got, flush=True)
"""
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", *UNSHARE, sys.executable, "-c", STEP_ASIDE + code]
    with (
        outside_of(*command, stdin=theirs) as outside,
        open(ours, "wb", buffering=0) as terminal,
    ):
        os.close(theirs)
        assert line_of(outside) == "ready"
        init = _inits_below(outside.pid)
        terminal.write(b"\x03")
        # Passed on one after the other, so one that was too many is there before the last.
        init.send_signal(signal.SIGTERM)
        assert line_of(outside) == "['int', 'term']"


def _inits_below(pid: int) -> psutil.Process:
    processes = psutil.Process(pid).children(recursive=True)
    return next(p for p in processes if "init.py" in " ".join(p.cmdline()))


def test_a_signal_before_the_init_is_there_is_not_lost() -> None:
    """The kernel drops what a first process has no handler for, unless it is blocked."""
    code = (
        STEP_ASIDE.replace("step_aside()\n", "")
        + """
import os, signal, sys
exec_, fork = os.execv, os.fork

def slow(*args):
    os.kill(1, signal.SIGTERM)
    exec_(*args)

os.execv = slow
signal.signal(signal.SIGTERM, lambda *_: os._exit(5))
import local_swarm.supervisor.init as init
init.step_aside()
signal.pause()
"""
    )
    command = [*UNSHARE, sys.executable, "-c", code]
    with subprocess.Popen(command) as outside:
        # Sent by the first process itself it counts as a process's own: si_code is SI_USER.
        assert outside.wait(PATIENCE_S) == 5


def test_orphans_of_others_are_taken_note_of_and_no_end_of_our_own_is_lost() -> None:
    code = """
import asyncio, signal, subprocess

async def main():
    for n in range(20):
        # Each leaves an orphan, which ends later, and ends with a code that must arrive.
        process = await asyncio.create_subprocess_exec("sh", "-c", f"(sleep 0.0{n} &) ; exit {n}")
        assert await process.wait() == n
        assert subprocess.run(["sh", "-c", f"(true &) ; exit {n}"]).returncode == n

asyncio.run(main())
print("done", flush=True)
signal.pause()
"""
    with first_process(code) as (outside, first):
        assert line_of(outside) == "done"
        eventually(lambda: len(first.children()) == 1, "every orphan's end is noted")


SWARM = """
import sys
from local_swarm.cli import main
main()
"""


@pytest.mark.engine
def test_a_swarm_in_a_container_works_and_stops_as_it_should(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    up = ("up", "--model", "builtin:demo", "--no-federation", "--port", "0", "--ctx", "512")
    env = {"LSWARM_HOME": str(tmp_path), "LSWARM_SWARM__THREADS": "1"}
    with first_process(SWARM, *up, cwd=tmp_path, **env) as (outside, first):
        assert line_of(outside).startswith("READY ")
        inside = first.children(recursive=True)
        workers = [p.pid for p in inside if "_runner.py" in " ".join(p.cmdline())]
        assert workers
        assert all(map(lives, workers))
        first.send_signal(signal.SIGTERM)
        assert outside.wait(PATIENCE_S) == 0
        assert not any(map(lives, (p.pid for p in inside)))


@pytest.mark.engine
def test_a_swarm_that_is_the_first_process_itself_kills_no_child(tmp_path: Path) -> None:
    """A child that compares its parent with 1 would take its supervisor for dead."""
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    up = ("up", "--model", "builtin:demo", "--no-federation", "--port", "0", "--ctx", "512")
    env = {"LSWARM_HOME": str(tmp_path), "LSWARM_SWARM__THREADS": "1"}
    code = "import local_swarm.supervisor.init as init\ninit.step_aside = lambda: None\n"
    command = [*UNSHARE, sys.executable, "-c", code + SWARM, *up]
    with outside_of(*command, cwd=tmp_path, env={**os.environ, **env}) as outside:
        assert line_of(outside).startswith("READY ")
        first = psutil.Process(outside.pid).children()[0]
        first.send_signal(signal.SIGTERM)
        assert outside.wait(PATIENCE_S) == 0

"""`kill -9` of a supervisor around the birth of a child: nothing is left, whatever the moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from local_swarm.supervisor import reaper
from local_swarm.supervisor.reaper import RUN_TOKEN
from tests.supervisor.living import eventually, holders, lives, runs
from tests.swarms import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
GONE_S = 3.0

# Kills itself at a named moment, or lives until it is killed. Engines: a plain one; wrappers whose
# engine stays in the group, leaves it, or outlives the wrapper.
SUPERVISOR = """
import asyncio, contextlib, os, signal, sys
from local_swarm.domain.launch import LaunchSpec
from local_swarm.supervisor import guard, process, warden
from local_swarm.supervisor.logs import WorkerLog
token, moment, guarded, *engine = sys.argv[1:]

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

def on_audit(event, args):
    if event == "subprocess.Popen" and any(str(process.GUARD) in str(a) for a in args[1]):
        die()

if moment == "before the fork":
    sys.addaudithook(on_audit)
if moment == "before the warden knows":
    warden.Warden.born = die
if moment == "before the child may run":
    born = warden.Warden.born
    warden.Warden.born = lambda self, pid: die(born(self, pid))
if moment == "as soon as it is born":
    add = process.ChildProcess.__init__
    process.ChildProcess.__init__ = lambda self, *args: die(add(self, *args))

async def main():
    print("begun", flush=True)
    spec = LaunchSpec("x", tuple(engine), "127.0.0.1", 1)
    without = contextlib.nullcontext()
    async with warden.Warden(token) if guarded == "warden" else without as known:
        child = await process.spawn(spec, WorkerLog("w", None), run_token=token, warden=known)
        if moment == "once it runs":
            die()
        await child.wait()
asyncio.run(main())
"""
PLAIN = ("sleep", "60")
WRAPPERS = {
    "a plain engine": PLAIN,
    "a wrapper": ("sh", "-c", "sleep 60 & wait"),
    "a wrapper that leaves the group": ("sh", "-c", "setsid sleep 60 & wait"),
    "a wrapper that ends": ("sh", "-c", "setsid sh -c 'sleep 60; sleep 60' & sleep 60"),
}
MOMENTS = [
    "before the fork",
    "before the warden knows",
    "before the child may run",
    "as soon as it is born",
    "once it runs",
]


@contextmanager
def supervisor(
    moment: str, engine: tuple[str, ...], guarded: str = "warden"
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """One that has begun, and its token; at the end it is dead and nothing of it is left."""
    token = uuid.uuid4().hex
    command = [sys.executable, "-c", SUPERVISOR, token, moment, guarded, *engine]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        try:
            yield process, token
            assert process.wait(PATIENCE_S) == -signal.SIGKILL
            eventually(lambda: not holders(token), "an end without orphans", GONE_S)
        finally:
            process.kill()
            reaper.end_all(reaper.marked((RUN_TOKEN, token)))


@pytest.mark.parametrize("engine", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_supervisor_that_dies_at_a_birth_leaves_nothing(
    moment: str, engine: tuple[str, ...]
) -> None:
    with supervisor(moment, engine):
        pass


@pytest.mark.parametrize("delay_s", [n * 0.004 for n in range(20)])
def test_a_supervisor_that_is_killed_around_a_birth_leaves_nothing(delay_s: float) -> None:
    """The moment is what is tried out, so this one is drawn by the clock."""
    with supervisor("-", WRAPPERS["a wrapper that leaves the group"]) as (process, _):
        killer = threading.Timer(delay_s, process.kill)
        killer.start()
        process.wait(PATIENCE_S)
        killer.join()


@pytest.mark.parametrize(
    "engine", ["a plain engine", "a wrapper", "a wrapper that leaves the group"]
)
def test_a_supervisor_that_is_killed_while_its_engine_runs_leaves_nothing(engine: str) -> None:
    with supervisor("-", WRAPPERS[engine]) as (process, token):
        eventually(lambda: runs(token, "sleep 60"), "an engine")
        process.kill()


def test_without_a_warden_the_kernel_ends_the_child() -> None:
    with supervisor("-", PLAIN, guarded="kernel") as (process, token):
        eventually(lambda: runs(token, "sleep 60"), "an engine")
        process.kill()


def test_a_ctrl_c_for_all_does_not_end_the_warden_first() -> None:
    with supervisor("-", WRAPPERS["a wrapper that leaves the group"]) as (process, token):
        eventually(lambda: runs(token, "sleep 60"), "an engine")
        of_it = psutil.Process(process.pid).children()
        warden = next(p for p in of_it if "reaper.py" in " ".join(p.cmdline()))
        assert os.getpgid(warden.pid) != os.getpgid(process.pid)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            warden.send_signal(number)
        process.kill()


FLEET = """
import asyncio
from tests.swarms import Shape, fleet_of
async def main():
    async with fleet_of(Shape(workers=2)) as fleet:
        print(*(k.child.pid for k in fleet.keepers.values()), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_no_worker_outlives_a_killed_fleet() -> None:
    with subprocess.Popen([sys.executable, "-c", FLEET], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 2
    eventually(lambda: not any(map(lives, pids)), "the end of the workers", GONE_S)

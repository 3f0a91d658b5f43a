"""The supervisor is killed (-9) in each of its states: nobody outlives it, no stranger is hurt, and
the next start on its port works at once."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any

import psutil
import pytest

from tests.chaos.census import listening
from tests.chaos.conftest import Long
from tests.chaos.supervisors import ORPHANS_S, TOKEN, Home, Supervisor, eventually
from tests.swarms import FAKE, free_port

TWO = ("--workers", "2", "--slots", "2", "--ctx", "512")
SLOW_STOP = {"sigterm": "ignore"}


@contextmanager
def sending(swarm: Supervisor, path: str, body: dict[str, Any]) -> Iterator[None]:
    """A request is under way; the supervisor is killed at the end, and nobody minds the answer."""
    run = swarm.run_file()
    assert run is not None
    request = urllib.request.Request(
        swarm.url + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {run['control_key']}"},
    )

    def send() -> None:
        with suppress(OSError, HTTPException), urllib.request.urlopen(request) as answer:
            answer.read()

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        swarm.kill()
        sender.join()


@contextmanager
def asking(swarm: Supervisor) -> Iterator[None]:
    """A voted request is being answered."""
    body = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
    with sending(swarm, "/v1/chat/completions", body):
        in_flight = lambda: swarm.get("/v1/swarm/status")["queue"]["in_flight"] == 1  # noqa: E731
        swarm.until(in_flight, "a request in flight")
        yield


# Each brings a supervisor into one state and kills it there. -----------------------------------


def before_any_child(home: Home, rng: random.Random) -> Supervisor:
    swarm = home.up(*TWO, **home.fakes())
    swarm.until(lambda: swarm.run_file() or swarm.says(), "a sign of life")
    return swarm


def at_any_moment_of_the_start(home: Home, rng: random.Random) -> Supervisor:
    swarm = home.up(*TWO, **home.fakes())
    time.sleep(rng.uniform(0.1, 1.0))  # the moment is what is tried out
    return swarm


def none_ready(home: Home, rng: random.Random) -> Supervisor:
    home.script(load_s=60)
    swarm = home.up(*TWO, **home.fakes())
    swarm.until(swarm.pids, "a child that loads")
    return swarm


def some_ready(home: Home, rng: random.Random) -> Supervisor:
    home.script(load_s=60, load_from=2, counter_file=str(home.path / "lives"))
    swarm = home.up(*TWO, **home.fakes())
    swarm.until_state("ready", "starting")
    return swarm


def under_load(home: Home, rng: random.Random) -> Supervisor:
    home.script(faults=[{"kind": "hold", "at_token": 2}])
    swarm = home.up(*TWO, **home.fakes()).until_ready()
    with asking(swarm):
        return swarm


def on_the_real_engine(home: Home, rng: random.Random) -> Supervisor:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    return home.up(*TWO, LSWARM_SWARM__THREADS="1").until_ready()


def draining(home: Home, rng: random.Random) -> Supervisor:
    home.script(faults=[{"kind": "hold", "at_token": 2}])
    swarm = home.up(*TWO, **home.fakes()).until_ready()
    with asking(swarm):
        swarm.process.send_signal(signal.SIGTERM)
        swarm.until(lambda: refuses(swarm), "a refusal")
        return swarm


def refuses(swarm: Supervisor) -> bool:
    body = json.dumps({"messages": [{"role": "user", "content": "late"}]}).encode()
    try:
        urllib.request.urlopen(f"{swarm.url}/v1/chat/completions", body, timeout=0.2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 503
    except OSError:
        return False
    return False


def stopping(home: Home, rng: random.Random) -> Supervisor:
    home.script(**SLOW_STOP)
    swarm = home.up(*TWO, **home.fakes()).until_ready()
    swarm.process.send_signal(signal.SIGTERM)
    swarm.until(lambda: "-> stopping" in swarm.says(), "children that are asked to stop")
    return swarm


def in_backoff(home: Home, rng: random.Random) -> Supervisor:
    return _after_deaths(home, "backoff", LSWARM_SUPERVISOR__BACKOFF_INITIAL_S="30")


def failed(home: Home, rng: random.Random) -> Supervisor:
    return _after_deaths(home, "failed", LSWARM_SUPERVISOR__RESTART_BUDGET="0")


def _after_deaths(home: Home, state: str, **env: str) -> Supervisor:
    swarm = home.up(*TWO, **home.fakes(), **env).until_ready()
    home.script(start_exit=1)
    os.kill(swarm.workers()["w0"]["pid"], signal.SIGKILL)
    swarm.until_state("ready", state)
    return swarm


def restarting(home: Home, rng: random.Random) -> Supervisor:
    return _while_it_changes(home, TWO, "/v1/swarm/restart", {})


def growing(home: Home, rng: random.Random) -> Supervisor:
    one = ("--workers", "1", *TWO[2:])
    return _while_it_changes(home, one, "/v1/swarm/scale", {"workers": 2})


def _while_it_changes(
    home: Home, layout: tuple[str, ...], path: str, body: dict[str, Any]
) -> Supervisor:
    """Killed while a worker that the change has started loads."""
    swarm = home.up(*layout, **home.fakes()).until_ready()
    home.script(load_s=60)
    with sending(swarm, path, body):
        swarm.until(lambda: "starting" in swarm.states(), "a worker that loads")
        return swarm


STATES: list[Callable[[Home, random.Random], Supervisor]] = [
    before_any_child,
    at_any_moment_of_the_start,
    none_ready,
    some_ready,
    under_load,
    on_the_real_engine,
    draining,
    stopping,
    in_backoff,
    failed,
    restarting,
    growing,
]


# Strangers -----------------------------------------------------------------------------------


@pytest.fixture
def strangers(other_home: Home) -> Iterator[list[psutil.Process]]:
    """Nobody's business: a server like a worker's, one with another run's token, and a whole
    swarm with its children. All must live at the end, as the same processes."""
    command = [sys.executable, str(FAKE), "--port", str(free_port()), "-np", "2"]
    sleeper = [sys.executable, "-c", "import time; time.sleep(3600)"]
    alike = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    others = subprocess.Popen(sleeper, env={**os.environ, TOKEN: "f" * 32})
    swarm = other_home.up("--ctx", "512", **other_home.fakes()).until_ready()
    bystanders = [psutil.Process(p.pid) for p in (alike, others, swarm.process)]
    bystanders += bystanders[-1].children(recursive=True)
    yield bystanders
    hurt = [p.pid for p in bystanders if not p.is_running() or p.status() == psutil.STATUS_ZOMBIE]
    for process in (alike, others):
        process.kill()
        process.wait()
    assert hurt == [], "strangers were hurt"
    assert swarm.stop() == 0


@pytest.mark.engine
def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(
    home: Home, strangers: list[psutil.Process], figures: dict[str, Any], long: Long
) -> None:
    gone_s, again_s, rng = [], [], random.Random(1)
    for number, state in enumerate(
        itertools.islice(itertools.cycle(STATES), long(len(STATES), 50))
    ):
        scene = Home(home.path / str(number), home.mark, home.started)
        swarm = state(scene, rng)
        ports = listening(p.pid for p in scene.processes())
        swarm.kill()
        began = time.monotonic()
        try:
            scene.no_orphans()
        except AssertionError as error:
            raise AssertionError(f"killed {state.__name__}: {error}") from None
        gone_s.append(time.monotonic() - began)
        eventually(lambda p=ports: not any(map(taken, p)), "ports that are free", ORPHANS_S)
        if number % long(4, 1) == 0:
            again_s.append(started_again(scene, swarm.port))
    figures["supervisors killed"] = f"{len(gone_s)}, in {len(STATES)} states"
    figures["nothing left after"] = f"{max(gone_s):.2f} s at most"
    figures["the next READY after"] = f"{max(again_s):.2f} s at most"


def started_again(scene: Home, port: int) -> float:
    """Starts another on the port, and stops it; returns the seconds until it was ready."""
    scene.script()
    began = time.monotonic()
    again = scene.up(*TWO, port=port, **scene.fakes()).until_ready()
    took_s = time.monotonic() - began
    assert list(scene.run_files()) == [f"swarm-{port}.json"]
    assert again.stop() == 0
    scene.no_orphans()
    assert scene.run_files() == {}
    return took_s


def taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

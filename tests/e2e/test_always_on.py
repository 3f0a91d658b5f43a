"""What keeps a swarm running for months, seen on the real engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from local_swarm.config.paths import user_paths
from local_swarm.swarm.crashes import CrashFile
from tests.e2e.conftest import PATIENCE_S, Lswarm, Up

pytestmark = pytest.mark.engine
ONE_THREAD = {"LSWARM_SWARM__THREADS": "1"}
LONG = "Here are notes on a Python project. " + "The function adds two numbers. " * 40


def ask(swarm: Up, text: str = "Write add(a, b).", **more: Any) -> dict[str, Any]:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 24, **more}
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def status_when(lswarm: Lswarm, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status once the condition holds of it."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds(status := lswarm.json("status")):
        assert time.monotonic() < deadline, status
    return status


def states(status: dict[str, Any]) -> list[str]:
    return [worker["state"] for worker in status["workers"]]


def test_an_idle_swarm_lets_its_memory_go_and_wakes_for_a_request(
    lswarm: Lswarm, up: Callable[..., Up]
) -> None:
    swarm = up("--ctx", "1024", **ONE_THREAD, LSWARM_SWARM__IDLE_UNLOAD_S="0.5")
    status = status_when(lswarm, lambda status: states(status) == ["stopped"])
    assert status["asleep"] is True
    assert "asleep" in status["workers"][0]["reason"]
    assert swarm.workers() == []
    with urllib.request.urlopen(f"{swarm.url}/ready") as ready:
        assert ready.status == 200
    assert ask(swarm)["choices"][0]["finish_reason"]
    assert swarm.terminate() == 0


def test_a_stream_wakes_it_too_and_is_kept_alive(lswarm: Lswarm, up: Callable[..., Up]) -> None:
    patient = {"LSWARM_SERVER__FIRST_BYTE_S": "0.01", "LSWARM_SERVER__KEEPALIVE_S": "0.01"}
    swarm = up("--ctx", "1024", **ONE_THREAD, **patient, LSWARM_SWARM__IDLE_UNLOAD_S="0.5")
    status_when(lswarm, lambda status: bool(status["asleep"]))
    body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 8, "stream": True}
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        text = response.read().decode()
    assert text.startswith(":")  # a comment, before there was anything to say
    assert text.rstrip().endswith("data: [DONE]")


def test_a_restart_keeps_the_prompts_in_the_slots(lswarm: Lswarm, up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "2048", "--workers", "1", **ONE_THREAD, LSWARM_ENGINE__KEEP_SLOTS="true")
    talk = {"model": f"{swarm.model}:solo", "temperature": 0}
    first = ask(swarm, LONG, **talk)
    kept = first["usage"]["prompt_tokens"]
    assert lswarm("restart", "w0").returncode == 0
    again = ask(swarm, LONG, **talk)
    cached = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert cached > 0.9 * kept
    assert again["choices"][0]["message"] == first["choices"][0]["message"]
    folder = lswarm.home / "cache" / "slots"
    assert swarm.terminate() == 0
    assert list(folder.rglob("*.bin")) == []


def test_without_that_setting_nothing_is_written(lswarm: Lswarm, up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "2048", "--workers", "1", **ONE_THREAD)
    ask(swarm, LONG, model=f"{swarm.model}:solo")
    assert lswarm("restart").returncode == 0
    assert not (lswarm.home / "cache" / "slots").exists()


CONFIG = """
[supervisor]
min_free_bytes = {floor}
relief_s = 0.5
[swarm]
threads = 1
"""


def test_where_memory_is_short_slots_are_given_up_and_taken_back(
    lswarm: Lswarm, up: Callable[..., Up], tmp_path: Path
) -> None:
    config = tmp_path / "memory.toml"
    config.write_text(CONFIG.format(floor=0))
    swarm = up("--ctx", "4096", "--slots", "3", "--config", str(config), "--model", "builtin:demo")
    before = lswarm.json("status")["workers"][0]
    assert before["reduced"] is None
    config.write_text(CONFIG.format(floor=psutil.virtual_memory().total))
    assert lswarm("reload").returncode == 0
    status = status_when(lswarm, lambda status: bool(status["workers"][0]["reduced"]))
    assert "prompt cache" in status["workers"][0]["reduced"]
    assert ask(swarm)["choices"][0]["finish_reason"]
    config.write_text(CONFIG.format(floor=0))
    assert lswarm("reload").returncode == 0
    status = status_when(lswarm, lambda status: status["workers"][0]["reduced"] is None)
    assert status["workers"][0]["slots"] == before["slots"]
    assert status["workers"][0]["crashes"] == 0


def test_a_crash_is_remembered_and_told(lswarm: Lswarm, up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "1024", **ONE_THREAD)
    ask(swarm)
    (worker,) = swarm.workers()
    worker.kill()
    status_when(lswarm, lambda status: status["workers"][0]["crashes"] == 1)
    status_when(lswarm, lambda status: states(status) == ["ready"])
    assert swarm.terminate() == 0
    (crash,) = CrashFile.of(user_paths({"LSWARM_HOME": str(lswarm.home)})).read()
    assert (crash.worker, crash.cause, crash.signal) == ("w0", "killed", 9)


def test_a_worker_that_was_stopped_goes_on(lswarm: Lswarm, up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "1024", **ONE_THREAD)
    (worker,) = swarm.workers()
    os.kill(worker.pid, signal.SIGSTOP)
    assert ask(swarm)["choices"][0]["finish_reason"]
    assert lswarm.json("status")["workers"][0]["crashes"] == 0


def test_an_engine_behind_a_wrapper_ends_with_a_killed_supervisor(
    lswarm: Lswarm, up: Callable[..., Up]
) -> None:
    swarm = up("--ctx", "1024", **ONE_THREAD)
    (worker,) = swarm.workers()
    token = worker.environ()["LSWARM_RUN_TOKEN"]
    stray = subprocess.Popen(
        ["sleep", "600"], env={**os.environ, **worker.environ()}, start_new_session=True
    )
    try:
        assert token
        swarm.process.kill()
        assert stray.wait(PATIENCE_S) == -signal.SIGKILL
        psutil.wait_procs([worker], timeout=PATIENCE_S)
    finally:
        stray.kill()
        stray.wait()


def test_a_request_that_comes_as_an_idle_swarm_stops_is_refused_not_dropped(
    up: Callable[..., Up],
) -> None:
    swarm = up("--ctx", "1024", **ONE_THREAD)
    swarm.process.send_signal(signal.SIGTERM)
    refused = []
    while len(refused) < 2:  # the first may have been answered before the signal was seen
        try:
            ask(swarm)
        except urllib.error.HTTPError as error:
            refused.append(error.code)
            error.close()
    assert refused == [503, 503]
    assert swarm.process.wait(PATIENCE_S) == 0

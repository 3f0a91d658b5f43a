"""A running swarm is restarted, scaled, reloaded and stopped, as its users do it: under load, and
nothing is lost."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import termios
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.conftest import LSWARM, PATIENCE_S, Lswarm, Up

pytestmark = pytest.mark.engine
DEMO = Path(__file__).parents[2] / "local_swarm" / "assets" / "demo.gguf"
QUESTION = [{"role": "user", "content": "Write a Python function `double(x)` that doubles x."}]
SMALL = ("--ctx", "512")
ONE_THREAD = {"LSWARM_SWARM__THREADS": "1"}


def ask(swarm: Up, **body: Any) -> str:
    """The body of a 200; raises HTTPError for anything else."""
    data = json.dumps({"messages": QUESTION, "max_tokens": 24, **body}).encode()
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return str(response.read().decode())


@dataclass
class Load:
    """Requests of three kinds, again and again."""

    swarm: Up
    failures: list[str] = field(default_factory=list)
    answers: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self, body: dict[str, Any]) -> None:
        while not self.over.is_set():
            try:
                text = ask(self.swarm, **body)
                if body.get("stream") and "[DONE]" not in text:
                    self.failures.append(text)
            except urllib.error.HTTPError as error:
                self.failures.append(error.read().decode())
            except OSError as error:
                self.failures.append(repr(error))
            self.answers += 1


@contextlib.contextmanager
def loaded(swarm: Up) -> Iterator[Load]:
    """Fails where any request does."""
    load = Load(swarm)
    bodies: list[dict[str, Any]] = [{}, {"stream": True}, {"model": f"{swarm.model}:solo"}]
    threads = [threading.Thread(target=load.run, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert load.failures == []
    assert load.answers >= len(bodies)


def done(result: subprocess.CompletedProcess[str]) -> list[str]:
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def states(lswarm: Lswarm) -> dict[str, str]:
    return {w["id"]: w["state"] for w in lswarm.json("status")["workers"]}


def test_restart_scale_and_reload_lose_no_request(up: Callable[..., Up], lswarm: Lswarm) -> None:
    config, other = lswarm.home / "my.toml", lswarm.home / "other.gguf"
    shutil.copy(DEMO, other)
    config.write_text("[swarm]\nctx = 512\nslots = 3\nthreads = 1\nworkers = 1\n")
    swarm = up("--config", str(config))
    with loaded(swarm):
        assert done(lswarm("restart"))[-2:] == ["w0 was restarted.", "w1 was stopped."]
        assert done(lswarm("scale", "2"))[-1] == "There are 2 workers now."
        assert set(states(lswarm)) == {"w0", "w1"}
        assert done(lswarm("restart", "w1")) == ["w1 was restarted."]
        assert done(lswarm("scale", "1"))[-1] == "There is 1 worker now."
        config.write_text(config.read_text().replace("512", "1024") + 'strategy = "exact"\n')
        refused = lswarm("reload")
        assert refused.returncode == 3
        assert "exact" in refused.stderr
        config.write_text(config.read_text().replace('"exact"', '"similarity"'))
        assert done(lswarm("reload"))[-1] == "Applied: swarm.strategy, swarm.ctx."
        assert lswarm.json("status")["workers"][0]["ctx"] == 1024
        config.write_text(config.read_text() + f'[models]\npreferred = ["{other}"]\n')
        report = lswarm.json("reload")
        assert report["done"][-1] == "The model is other now."
        assert report["applied"] == ["models.preferred"]
    assert json.loads(ask(swarm))["model"] == "other"
    assert swarm.terminate() == 0


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["restart", "w9"], 2, "Workers: w0."),
        (["scale", "0"], 2, "0"),
        (["scale", "900"], 2, "fewer workers"),
        (["reload"], 6, "does not fit"),
    ],
)
def test_what_cannot_be_done_has_the_exit_code_of_its_kind(
    up: Callable[..., Up], lswarm: Lswarm, args: list[str], code: int, says: str
) -> None:
    config = lswarm.home / "my.toml"
    config.write_text("")
    swarm = up("--config", str(config), *SMALL, **ONE_THREAD)
    before = [worker.pid for worker in swarm.workers()]
    config.write_text(f"[hardware]\nreserve_bytes = {2**50}\n")
    result = lswarm(*args)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert [worker.pid for worker in swarm.workers()] == before


def test_without_a_swarm_there_is_nothing_to_change(lswarm: Lswarm) -> None:
    for args in (["restart"], ["scale", "2"], ["reload"]):
        result = lswarm(*args)
        assert result.returncode == 8
        assert "lswarm up" in result.stderr


def test_sighup_applies_the_changed_configuration(up: Callable[..., Up], lswarm: Lswarm) -> None:
    config = lswarm.home / "my.toml"
    config.write_text("")
    swarm = up("--config", str(config), *SMALL, **ONE_THREAD)
    config.write_text('[swarm]\nstrategy = "similarity"\n')
    swarm.process.send_signal(signal.SIGHUP)
    until(lambda: "applied=swarm.strategy" in log_of(swarm))
    assert json.loads(ask(swarm))["swarm"]["strategy"] == "similarity"
    config.write_text("nonsense")
    swarm.process.send_signal(signal.SIGHUP)
    until(lambda: "is not valid TOML" in log_of(swarm))
    assert swarm.terminate() == 0


def test_the_end_of_its_terminal_is_the_end_of_the_swarm(lswarm: Lswarm) -> None:
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*LSWARM, "up", "--model", "builtin:demo", "--port", "0", *SMALL],
        env=lswarm.env,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=lswarm.home,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    assert process.stdout is not None
    with process.stdout as output:
        assert output.readline().startswith("READY")
        process.send_signal(signal.SIGHUP)  # the terminal is there: a reload
        children = psutil.Process(process.pid).children(recursive=True)
        os.close(main)
        assert process.wait(PATIENCE_S) == 0
    assert not [child for child in children if child.is_running()]


def test_a_stop_ends_a_restart_that_is_under_way(up: Callable[..., Up], lswarm: Lswarm) -> None:
    swarm = up("--workers", "2", "--slots", "2", *SMALL, **ONE_THREAD)
    restart = subprocess.Popen(
        [*LSWARM, "restart"],
        env=lswarm.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=lswarm.home,
    )
    until(lambda: "a change begins" in log_of(swarm))
    children = psutil.Process(swarm.process.pid).children(recursive=True)
    assert swarm.terminate() == 0
    _, stderr = restart.communicate(timeout=PATIENCE_S)
    assert restart.returncode != 0
    assert "Traceback" not in stderr
    assert not [child for child in children if child.is_running()]


def test_a_stop_under_load_refuses_politely_and_ends_in_time(up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "4096", **ONE_THREAD)
    with streaming(swarm, tokens=1500) as response:
        swarm.process.send_signal(signal.SIGTERM)
        refused = first_refusal(swarm)
        assert refused.code == 503
        assert refused.headers["Retry-After"]
        assert json.loads(refused.read())["error"]["code"] == "overloaded"
        refused.close()
        assert response.read().rstrip().endswith(b"data: [DONE]")
    assert swarm.process.wait(PATIENCE_S) == 0


def test_what_runs_too_long_is_cut_off_and_told_so(up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "8192", **ONE_THREAD, LSWARM_SWARM__STOP_TIMEOUT_S="0.5")
    with streaming(swarm, tokens=8000) as response:
        swarm.process.send_signal(signal.SIGTERM)
        text = response.read()
        assert b'"error"' in text
        assert b"The swarm stopped" in text
        assert swarm.process.wait(PATIENCE_S) == 0


def test_a_second_signal_is_exit_code_130(up: Callable[..., Up]) -> None:
    swarm = up("--ctx", "4096", **ONE_THREAD)
    with streaming(swarm, tokens=4000):
        children = psutil.Process(swarm.process.pid).children(recursive=True)
        swarm.process.send_signal(signal.SIGTERM)
        first_refusal(swarm).close()
        swarm.process.send_signal(signal.SIGTERM)
        assert swarm.process.wait(PATIENCE_S) == 130
    assert not [child for child in children if child.is_running()]


@contextlib.contextmanager
def streaming(swarm: Up, *, tokens: int) -> Iterator[Any]:
    """A stream of so many tokens that has begun."""
    body = {
        "model": f"{swarm.model}:solo",
        "messages": QUESTION,
        "stream": True,
        "max_tokens": tokens,
        "ignore_eos": True,
    }
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        response.readline()
        yield response


def test_a_detached_swarm_writes_to_the_log_of_its_port(lswarm: Lswarm) -> None:
    up = ("up", "--model", "builtin:demo", "--port", "0", *SMALL, "--detach")
    first = lswarm(*up, **ONE_THREAD)
    assert first.returncode == 0, first.stderr
    port = first.stdout.split("/v1")[0].rsplit(":", 1)[1]
    logs = lswarm.home / "state" / "logs"
    try:
        assert "READY" in (logs / port / "swarm.log").read_text()
        assert [file for file in logs.iterdir() if file.is_file()] == []
        assert "READY" in lswarm("logs", "swarm").stdout
        before = everything(lswarm.home)
        second = lswarm("up", "--model", "builtin:demo", "--port", port, "--detach")
        assert second.returncode == 7
        assert "already" in second.stderr
        assert everything(lswarm.home) == before
    finally:
        assert lswarm("down").returncode == 0


def test_a_detached_swarm_that_cannot_start_says_why(lswarm: Lswarm) -> None:
    failed = lswarm("up", "--model", "/no/such.gguf", "--port", "0", "--detach")
    assert failed.returncode == 5
    assert "/no/such.gguf" in failed.stderr
    assert list((lswarm.home / "state" / "logs").iterdir()) == []


def everything(home: Path) -> dict[str, tuple[int, int]]:
    """All files, with what changes when somebody writes to them; logs of requests aside."""
    return {
        str(file): (file.stat().st_ino, file.stat().st_mtime_ns)
        for file in home.rglob("*")
        if file.is_file() and file.suffix != ".log"
    } | {str(file): (0, 0) for file in home.rglob("*.log")}


def first_refusal(swarm: Up) -> urllib.error.HTTPError:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            ask(swarm, max_tokens=1)
        except urllib.error.HTTPError as error:
            return error
    raise AssertionError("requests are still taken")


def log_of(swarm: Up) -> str:
    return (swarm.home / "up.log").read_text()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process: there is no event to wait for

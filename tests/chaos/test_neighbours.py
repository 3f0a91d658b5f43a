"""Swarms side by side, and one that is asked to start where another runs already."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.chaos.supervisors import Home, Supervisor

QUESTION = {"messages": [{"role": "user", "content": "hello"}], "seed": 7}


def settings(home: Home, text: str) -> Path:
    path = home.path / "lswarm.toml"
    path.write_text(text)
    return path


def answer(swarm: Supervisor) -> str:
    body = json.dumps(QUESTION).encode()
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


def facts(swarm: Supervisor) -> tuple[object, ...]:
    """What must not change: its processes, its workers' lives, its run file, its answers."""
    workers = {w: (row["pid"], row["port"], row["restarts"]) for w, row in swarm.workers().items()}
    return swarm.pid, workers, swarm.home.run_files(), answer(swarm)


def test_two_swarms_with_different_settings_live_side_by_side(home: Home, other_home: Home) -> None:
    home.script(answers=["one"])
    other_home.script(answers=["two"])
    two = settings(other_home, "[swarm]\nvoters = 2\nworkers = 2\nslots = 2\nctx = 1024\n")
    one = settings(home, "[swarm]\nvoters = 3\nctx = 512\n")
    first = home.up("--config", str(one), **home.fakes()).until_ready()
    second = other_home.up("--config", str(two), **other_home.fakes()).until_ready()
    before = facts(first)
    assert answer(second) == "two"
    assert answer(first) == "one"
    assert len(second.workers()) == 2
    assert first.get("/v1/swarm/status")["voters"] == 3
    assert second.get("/v1/swarm/status")["voters"] == 2
    second.kill()
    other_home.no_orphans()
    assert facts(first) == before
    assert first.stop() == 0


def test_two_swarms_of_one_home_do_not_meet(home: Home) -> None:
    first = home.up("--ctx", "512", **home.fakes()).until_ready()
    second = home.up("--ctx", "512", **home.fakes()).until_ready()
    before = facts(first)[:2]
    second.kill()
    third = home.up("--ctx", "512", **home.fakes()).until_ready()
    assert facts(first)[:2] == before
    done = home.lswarm("down", "--port", str(third.port))
    assert done.returncode == 0, done.stderr
    assert third.process.wait(30) == 0
    assert facts(first)[:2] == before
    assert list(home.run_files()) == [f"swarm-{first.port}.json"]
    assert first.stop() == 0
    home.no_orphans()


@pytest.mark.parametrize("whose", ["the same home", "another home"])
def test_a_start_on_a_taken_port_says_so_and_changes_nothing(
    home: Home, other_home: Home, whose: str
) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    before = facts(swarm)
    asking = home if whose == "the same home" else other_home
    model = ("--model", "builtin:demo")
    for words in (("--ctx", "1024"), ("--workers", "2", "--detach")):
        done = asking.lswarm("up", *model, "--port", str(swarm.port), *words, **asking.fakes())
        assert done.returncode == 7, done.stderr
        assert str(swarm.port) in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert facts(swarm) == before
    assert other_home.processes() == []
    assert other_home.run_files() == {}
    assert swarm.stop() == 0

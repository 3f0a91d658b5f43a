"""`lswarm doctor`, as people run it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from local_swarm.cli.render import doctor as render
from local_swarm.cli.render import terminal
from local_swarm.swarm.doctor import Finding, Level
from tests.e2e.conftest import LSWARM


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def doctor(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
    return subprocess.run(
        [*LSWARM, "doctor", *args],
        env={**kept, "LSWARM_HOME": str(home), **env},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        check=False,
    )


def levels(done: subprocess.CompletedProcess[str]) -> dict[str, set[str]]:
    found = json.loads(done.stdout)["findings"]
    return {f["check"]: {g["level"] for g in found if g["check"] == f["check"]} for f in found}


def test_a_machine_where_all_is_well_ends_with_0(tmp_path):
    done = doctor(tmp_path, "--json", "--port", free_port())
    assert done.returncode == 0, done.stdout
    assert levels(done)["engine"] == {"ok"}
    assert levels(done)["port"] == {"ok"}
    assert done.stderr == ""


def test_wrong_settings_are_told_and_all_else_is_looked_at_too(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "lswarm.toml").write_text("[server]\nprot = 1\n")
    done = doctor(tmp_path, "--json", "--port", free_port())
    assert done.returncode == 3
    found = levels(done)
    assert found["settings"] == {"error"}
    assert found["engine"] == {"ok"}


def test_an_engine_that_crashes_ends_with_4(tmp_path):
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    done = doctor(tmp_path, "--port", free_port(), LSWARM_ENGINE__PATH=str(program))
    assert done.returncode == 4
    assert "engine" in done.stdout


def test_a_taken_port_ends_with_7_and_says_what_to_do(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = doctor(tmp_path, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 7
    assert "-> " in done.stdout
    assert "1 error." in done.stdout


def test_a_bundle_is_written_and_what_is_in_it_is_told(tmp_path):
    done = doctor(tmp_path, "--bundle", "report.zip", "--port", free_port(), HF_TOKEN="my-own-key")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "report.zip") as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
        text = b"".join(archive.read(name) for name in archive.namelist())
    assert {"README.txt", "findings.json", "plan.json", "settings.json"} <= set(names)
    assert all(name in done.stderr for name in names)
    assert "Look at it before you send it" in " ".join(done.stderr.split())
    assert b"my-own-key" not in text


def test_a_bundle_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "report.zip").write_text("mine")
    done = doctor(tmp_path, "--bundle", "report.zip")
    assert done.returncode == 2
    assert (tmp_path / "report.zip").read_text() == "mine"
    assert done.stdout == ""  # it was refused before anything was looked at


@pytest.fixture
def out(monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=False, width=100, highlight=False)
    monkeypatch.setattr(terminal, "Console", lambda **_: console)
    return text


def test_findings_are_shown_with_what_to_do(out):
    render.findings(
        [
            Finding(Level.OK, "All is well.", "", "memory"),
            Finding(Level.ERROR, "Port [80] is taken.", "Use another.", "port"),
            Finding(Level.NOTE, "It is late.", "", "clock"),
        ]
    )
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[1:] == [
        "ok     memory  All is well.",
        "error  port    Port [80] is taken.",
        "               -> Use another.",
        "note   clock   It is late.",
        "1 note, 0 warnings, 1 error.",
    ]

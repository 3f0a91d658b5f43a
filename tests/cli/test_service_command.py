"""`lswarm service`, as people see it where no service manager runs, and what it makes of a call."""

from __future__ import annotations

import json
import os
import plistlib
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD_IS_HERE = Path("/run/systemd/system").is_dir()
UNITS = {"systemd": "[Service]", "launchd": "<plist", "windows": "<Task", "termux": "exec "}


def lswarm(
    *words: str, home: Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
    return subprocess.run(
        [sys.executable, "-m", "local_swarm", "service", *words],
        env={**kept, "HOME": str(home), **env},
        cwd=cwd or home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("manager", UNITS)
def test_print_shows_each_managers_unit_and_touches_nothing(tmp_path, manager):
    done = lswarm("print", "--manager", manager, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert UNITS[manager] in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_up_is_told_is_in_the_command(tmp_path):
    (tmp_path / "my.toml").touch()
    (tmp_path / "m.gguf").touch()
    asked = ("--config", "my.toml", "--port", "8123", "--model", "m.gguf")
    done = lswarm(
        *("print", "--manager", "launchd", *asked, "--", "--voters", "3", "--", "--mlock"),
        home=tmp_path,
        LSWARM_HOME="state",
    )
    job = plistlib.loads(done.stdout.encode())
    up = job["ProgramArguments"][job["ProgramArguments"].index("up") :]
    assert up == [
        *("up", "--voters", "3", "--config", str(tmp_path / "my.toml"), "--port", "8123"),
        *("--model", str(tmp_path / "m.gguf"), "--", "--mlock"),
    ]
    assert job["EnvironmentVariables"]["LSWARM_HOME"] == str(tmp_path / "state")


def test_the_managers_patience_follows_the_settings(tmp_path):
    (tmp_path / "x.toml").write_text("[swarm]\nstop_timeout_s = 300.5\n")
    done = lswarm("print", "--manager", "systemd", "--config", "x.toml", home=tmp_path)
    assert "TimeoutStopSec=331" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--config", "none.toml"), 3, "none.toml"),
        (("--", "--voters", "99"), 3, "voters"),
        (("--", "--nonsense"), 2, "--nonsense"),
        (("--", "--detach"), 2, "--detach"),
        (("--name", "../x"), 2, "name of a service"),
        (("--run-as", "root"), 2, "--system"),
        (("--system", "--run-as", "nobody-here"), 2, "nobody-here"),
        (("--manager", "upstart"), 2, "upstart"),
    ],
)
def test_what_up_would_refuse_is_refused_before(tmp_path, words, code, said):
    done = lswarm("print", *words, home=tmp_path)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_a_file_of_the_working_directory_counts_no_more_than_for_the_service(tmp_path):
    (tmp_path / "lswarm.toml").write_text("[swarm]\nvoters = 99\n")
    done = lswarm("print", home=tmp_path, LSWARM_SWARM__QUORUM="99")
    assert done.returncode == 0, "neither does the shell's environment"


@pytest.mark.skipif(SYSTEMD_IS_HERE or sys.platform != "linux", reason="a service manager is here")
@pytest.mark.parametrize("what", ["install", "uninstall", "start", "stop", "restart", "status"])
def test_without_a_service_manager_it_says_what_to_do_instead(tmp_path, what):
    done = lswarm(what, home=tmp_path)
    assert done.returncode == 8
    assert "systemd does not run this machine" in done.stderr
    assert "lswarm service print" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def termux(tmp_path: Path) -> dict[str, str]:
    """A runit that is none, but answers."""
    prefix = tmp_path / "com.termux" / "usr"
    (prefix / "var/service").mkdir(parents=True)
    sv = tmp_path / "sv"
    sv.write_text('#!/bin/sh\n[ "$1" = status ] && echo "run: $2: (pid 42) 7s"; exit 0\n')
    sv.chmod(0o755)
    return {"PREFIX": str(prefix), "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_a_service_from_install_to_uninstall(tmp_path, termux):
    home = tmp_path / "home"
    home.mkdir()
    assert "There is no service" in lswarm("start", home=home, **termux).stderr
    done = lswarm("install", "--name", "two", home=home, LSWARM_LOGS__LEVEL="debug", **termux)
    assert done.returncode == 0, done.stderr
    folder = Path(termux["PREFIX"]) / "var/service/lswarm-two"
    assert (folder / "run").exists()
    assert f"Wrote {folder}." in done.stderr
    assert "lswarm service start --name two" in done.stderr
    assert "LSWARM_LOGS__LEVEL" in done.stderr
    assert "debug" not in done.stderr, "a value may be a secret"
    shown = lswarm("status", "--name", "two", "--json", home=home, **termux)
    assert shown.returncode == 0
    assert json.loads(shown.stdout) == {
        "name": "lswarm-two",
        "manager": "termux",
        "system": False,
        "state": "running",
        "enabled": True,
        "pid": 42,
        "restarts": None,
        "detail": "",
        "unit": str(folder),
        "logs": f"{termux['PREFIX']}/var/log/sv/lswarm-two/current",
    }
    assert (
        "lswarm-two is running (pid 42)"
        in lswarm("status", "--name", "two", home=home, **termux).stdout
    )
    assert "Removed" in lswarm("uninstall", "--name", "two", home=home, **termux).stderr
    again = lswarm("uninstall", "--name", "two", home=home, **termux)
    assert (again.returncode, again.stderr) == (0, "lswarm-two was not installed.\n")
    assert lswarm("status", "--name", "two", home=home, **termux).returncode == 8

"""Disks that are full, folders that cannot be written, files that go away while it runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.conftest import Long
from tests.chaos.supervisors import Home, Supervisor

LONGEST_LINE = 17 * 1024
ALONE = ("unshare", "--mount", "--propagation", "private")


def can_mount() -> bool:
    words = [*ALONE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    found = shutil.which("unshare") is not None and os.path.isdir("/mnt")
    return found and subprocess.run(words, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="mounting needs root")


def on_tmpfs(home: Home, options: str, then: str = "true") -> tuple[str, ...]:
    """What goes before the command, so that LSWARM_HOME is a file system of its own."""
    where = home.path / "home"
    where.mkdir(exist_ok=True)
    words = f'mount -t tmpfs -o {options} tmpfs "{where}" && {then}; exec "$@"'
    return (*ALONE, "sh", "-c", words, "sh")


def inside(swarm: Supervisor, path: str = "") -> Path:
    """LSWARM_HOME as the supervisor sees it."""
    return Path(f"/proc/{swarm.pid}/root{swarm.home.path}/home{path}")


def ask(swarm: Supervisor) -> str:
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
    request = urllib.request.Request(
        f"{swarm.url}/v1/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(json.load(response)["choices"][0]["message"]["content"])


def crash(swarm: Supervisor) -> None:
    """Kills a worker that has served, and waits for it to be back."""
    assert ask(swarm)
    row = swarm.workers()["w0"]
    os.kill(row["pid"], signal.SIGKILL)
    back = lambda now: now["state"] == "ready" and now["restarts"] > row["restarts"]  # noqa: E731
    swarm.until(lambda: back(swarm.workers()["w0"]), "ready again")


def still_sound(swarm: Supervisor) -> None:
    """It serves, restarts a worker, and stops as it should."""
    assert ask(swarm)
    crash(swarm)
    assert ask(swarm)
    assert "Traceback" not in swarm.says()
    assert swarm.stop() == 0
    swarm.home.no_orphans()


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


@needs_mount
def test_a_disk_that_is_full_from_the_start_costs_logs_only(home: Home) -> None:
    filled = f'head -c 1m /dev/zero > "{home.path}/home/filler" 2>/dev/null'
    prefix = on_tmpfs(home, "size=64k", filled)
    swarm = home.up("--ctx", "512", prefix=prefix, **home.fakes()).until_ready()
    assert "cannot write the run file" in swarm.says()
    still_sound(swarm)


@needs_mount
def test_a_disk_that_fills_up_while_it_runs_costs_logs_only(home: Home) -> None:
    prefix = on_tmpfs(home, "size=256k")
    swarm = home.up("--ctx", "512", prefix=prefix, **home.fakes()).until_ready()
    fill(inside(swarm))
    still_sound(swarm)


def test_files_that_may_not_grow_cost_logs_only(home: Home) -> None:
    limited: Sequence[str] = ("sh", "-c", 'ulimit -f 4; exec "$@"', "sh")
    swarm = home.up("--ctx", "512", prefix=limited, **home.fakes()).until_ready()
    for _ in range(3):
        crash(swarm)
    still_sound(swarm)


@needs_mount
def test_a_state_folder_that_cannot_be_written_is_said_in_one_sentence(home: Home) -> None:
    swarm = home.up("--ctx", "512", prefix=on_tmpfs(home, "ro"), **home.fakes())
    assert swarm.process.wait(30) == 3
    assert "home" in swarm.says()
    assert "Traceback" not in swarm.says()
    home.no_orphans()


@needs_mount
def test_a_state_folder_that_becomes_read_only_does_not_stop_it(home: Home) -> None:
    swarm = home.up("--ctx", "512", prefix=on_tmpfs(home, "size=1m"), **home.fakes()).until_ready()
    there, where = ["nsenter", "-t", str(swarm.pid), "-m", "mount"], str(home.path / "home")
    # What is open for writing keeps a file system from being made read-only, but not a second
    # view of it.
    subprocess.run([*there, "--bind", where, where], check=True)
    subprocess.run([*there, "-o", "remount,bind,ro", where], check=True)
    still_sound(swarm)


def test_a_run_file_that_is_lost_while_it_runs_hurts_nobody(home: Home) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    (path,) = (home.path / "home" / "run").glob("swarm-*.json")
    another = json.dumps({**json.loads(path.read_bytes()), "token": "0" * 32}).encode()
    for damaged, code in ((another, 0), (b"\xff{]", 8), (b"", 8), (None, 8)):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        status = home.lswarm("status", "--json")
        assert status.returncode == code, (damaged, status.stderr)
        assert "Traceback" not in status.stderr
    taken = home.lswarm("up", "--model", "builtin:demo", "--port", str(swarm.port), **home.fakes())
    assert taken.returncode == 7, taken.stderr
    other = home.up("--ctx", "512", **home.fakes()).until_ready()
    assert other.stop() == 0
    crash(swarm)
    swarm.kill()
    home.no_orphans()
    again = home.up("--ctx", "512", port=swarm.port, **home.fakes()).until_ready()
    still_sound(again)
    assert home.run_files() == {}


def test_a_log_folder_that_is_removed_while_it_runs_does_not_stop_it(home: Home) -> None:
    swarm = home.up("--ctx", "512", **home.fakes()).until_ready()
    shutil.rmtree(home.path / "home" / "state")
    crash(swarm)
    assert "Traceback" not in home.lswarm("logs").stderr
    still_sound(swarm)


def test_a_log_that_floods_holds_nobody_up_and_stays_small(home: Home, long: Long) -> None:
    for line_bytes in (0, 80):
        home.script(flood=line_bytes)
        small = {"LSWARM_LOGS__MAX_BYTES": "65536", "LSWARM_LOGS__BACKUPS": "2"}
        swarm = home.up("--ctx", "512", **home.fakes(), **small).until_ready()
        written = 0
        logs = home.path / "home" / "state" / "logs" / str(swarm.port)
        for _ in range(long(5, 50)):
            assert swarm.get("/health")
            assert ask(swarm)
            names = set(logs.glob("w0.log*"))  # one that is being renamed may come up twice
            written = max(written, sum(map(size_of, names)))
        assert 65536 < written < 3 * (65536 + LONGEST_LINE)
        assert swarm.stop() == 0
        home.no_orphans()


def size_of(path: Path) -> int:
    """0 for a file that was rotated away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

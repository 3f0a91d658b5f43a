"""What a dead supervisor left behind, found without any file of its own.

Every child has in its environment the token of its run and who started it (`RUN_OWNER`), and what
it starts inherits both. A process is an orphan when that supervisor is gone beyond doubt; it is
ours to end when it is this user's and its run kept its files where we keep ours. So a run file that
is damaged, or that a full disk did not take, loses nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from local_swarm.supervisor import reaper
from local_swarm.supervisor.identity import ProcessId, Standing
from local_swarm.supervisor.reaper import RUN_TOKEN

RUN_OWNER = "LSWARM_RUN_OWNER"  # in the environment of every child: the supervisor's ProcessId


def new_token(directory: Path) -> str:
    """For one run that keeps its run file in `directory`; no two are equal."""
    return f"{secrets.token_hex(16)}{_suffix(directory)}"


def _suffix(directory: Path) -> str:
    return "-" + hashlib.sha256(os.path.realpath(directory).encode()).hexdigest()[:12]


def marks(run_token: str) -> dict[str, str]:
    """What a child of this process gets into its environment."""
    owner = msgspec.json.encode(ProcessId.of(os.getpid())).decode()
    return {RUN_TOKEN: run_token, RUN_OWNER: owner}


def reap(directory: Path) -> list[int]:
    """Ends what dead supervisors with this directory left behind; returns the pids.

    Blocks for some tens of milliseconds. Never raises.
    """
    judge = _Judge(_suffix(directory))
    if reaper.HAS_PROC:
        return reaper.end_all(lambda block: judge.is_orphan(_values(block)))
    return reap_elsewhere(judge.is_orphan)


def reap_elsewhere(is_orphan: Callable[[dict[str, str]], bool]) -> list[int]:
    """The same without /proc. psutil looks once more whose pid it is before it kills."""
    ended, me = [], psutil.Process().username()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if is_orphan(process.environ()) and process.username() == me:
                process.kill()
                ended.append(process.pid)
    return ended


def _values(block: bytes) -> dict[str, str]:
    """Our two marks out of an environment. Most have none, and large ones are not split up."""
    found = {}
    for name in (RUN_TOKEN, RUN_OWNER):
        _, mark, rest = block.partition(f"\0{name}=".encode())
        if mark:
            found[name] = rest.partition(b"\0")[0].decode(errors="replace")
    return found


class _Judge:
    """Asks about each supervisor once."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._is_gone: dict[str, bool] = {}

    def is_orphan(self, environment: dict[str, str]) -> bool:
        if not environment.get(RUN_TOKEN, "").endswith(self._suffix):
            return False
        owner = environment.get(RUN_OWNER, "")
        if owner not in self._is_gone:
            self._is_gone[owner] = _is_gone(owner)
        return self._is_gone[owner]


def _is_gone(owner: str) -> bool:
    try:
        process = msgspec.json.decode(owner, type=ProcessId)
    except msgspec.DecodeError:
        return False
    return process.standing() is Standing.GONE

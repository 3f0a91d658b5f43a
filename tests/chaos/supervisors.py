"""`lswarm up` as a process of its own, over the real engine or over fakes that do as they are told.

Every process that comes of it carries CHAOS_MARK in its environment, so that whatever outlives its
supervisor is found, wherever it has gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.chaos.census import marked
from tests.swarms import FAKE, free_port

MARK = "CHAOS_MARK"
TOKEN = "LSWARM_RUN_TOKEN"
LSWARM = str(Path(sys.executable).with_name("lswarm"))
PATIENCE_S = 60.0
POLL_S = 0.02
ORPHANS_S = 3.0
T = TypeVar("T")

# What a planning supervisor asks of a llama-server, and then the fake in its place.
PROGRAM = """#!/bin/sh
case " $* " in
*" --help "*) echo "--fit --no-cache-idle-slots --cache-ram --ctx-checkpoints --no-repack"; exit ;;
*" --version "*) echo "version: 1 (fake)"; exit ;;
*" --list-devices "*) echo "Available devices:"; echo "  (none)"; exit ;;
*" --fit on "*) exit 1 ;;
esac
export FAKE_LLAMA_SCRIPT="{script}"
exec "{python}" "{fake}" "$@"
"""


def eventually(ask: Callable[[], T], what: str, within_s: float = PATIENCE_S) -> T:
    """Asks again and again until the answer is truthy; fails after `within_s`, saying `what`."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(POLL_S)
    return answer


@dataclass
class Home:
    """A folder that is LSWARM_HOME, with an engine of fakes in it."""

    path: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
        ours = {"LSWARM_HOME": str(self.path / "home"), "LSWARM_LOGS__ACCESS": "false"}
        return {**kept, **ours, MARK: self.mark}

    @property
    def script_file(self) -> Path:
        return self.path / "script.json"

    def script(self, **script: Any) -> None:
        """What the fakes do that start from now on."""
        fresh = self.path / "script.new"
        fresh.write_text(json.dumps(script))
        fresh.replace(self.script_file)

    def fakes(self) -> dict[str, str]:
        """The environment with which the engine is a fake."""
        if not self.script_file.exists():
            self.script()
        program = self.path / "llama-server"
        program.write_text(
            PROGRAM.format(script=self.script_file, python=sys.executable, fake=FAKE)
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return {"LSWARM_ENGINE__PATH": str(program), "LSWARM_ENGINE__NAME": "llama-server"}

    def lswarm(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [LSWARM, *args],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=self.path,
        )

    def processes(self) -> list[psutil.Process]:
        """What lives of all that was started here."""
        return marked(MARK, self.mark)

    def run_files(self) -> dict[str, bytes]:
        folder = self.path / "home" / "run"
        return {p.name: p.read_bytes() for p in folder.glob("swarm-*.json")}

    def no_orphans(self) -> None:
        """Fails when anything of this home still lives after ORPHANS_S."""

        def described() -> list[str]:
            with contextlib.suppress(psutil.Error):
                return [f"{p.pid} {' '.join(p.cmdline())}" for p in self.processes()]
            return ["processes that were just ending"]

        deadline = time.monotonic() + ORPHANS_S
        while left := described():
            assert time.monotonic() < deadline, f"outlived their supervisor: {left}"
            time.sleep(POLL_S)

    def up(self, *args: str, port: int = 0, prefix: Sequence[str] = (), **env: str) -> Supervisor:
        """Starts `lswarm up` on the builtin model and does not wait for it. Without `port` it
        takes a free one."""
        port = port or free_port()
        command = [*prefix, LSWARM, "up", "--model", "builtin:demo", "--no-federation"]
        err = self.path / f"up-{port}.err"
        # Both are files: nobody has to read a pipe, and nothing ever waits for a reader.
        with (self.path / f"up-{port}.out").open("wb") as out, err.open("wb") as errors:
            process = subprocess.Popen(
                [*command, "--port", str(port), *args],
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                cwd=self.path,
            )
        self.started.append(process)
        return Supervisor(self, process, port, err)

    def clear(self) -> None:
        """Ends whatever was started here and still lives."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for process in self.started:
            process.kill()
            process.wait(PATIENCE_S)


@dataclass
class Supervisor:
    """A started `lswarm up`, in whatever state it is."""

    home: Home
    process: subprocess.Popen[bytes]
    port: int
    err: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self) -> str:
        return self.err.read_text(errors="replace")

    def run_file(self) -> dict[str, Any] | None:
        try:
            path = self.home.path / "home" / "run" / f"swarm-{self.port}.json"
            return json.loads(path.read_bytes())  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return None

    def get(self, path: str) -> Any:
        """The JSON at the path, None while nobody answers. An error's status raises HTTPError."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE_S) as response:
                return json.load(response)
        except (ConnectionError, TimeoutError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                raise
            return None

    def workers(self) -> dict[str, dict[str, Any]]:
        """The workers' rows of the status, by id; none while the gateway is not there."""
        status = self.get("/v1/swarm/status") or {"workers": []}
        return {row["id"]: row for row in status["workers"]}

    def states(self) -> list[str]:
        return [row["state"] for row in self.workers().values()]

    def pids(self) -> list[int]:
        return [row["pid"] for row in self.workers().values() if row["pid"]]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits for the condition; a supervisor that ends meanwhile is a failure."""

        def met() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}"
            return bool(condition())

        try:
            eventually(met, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; it said: {self.says()[-2000:]}") from None

    def until_ready(self) -> Supervisor:
        self.until(lambda: self._ready_line(), "READY")
        return self

    def until_state(self, *states: str) -> None:
        self.until(lambda: set(states) <= set(self.states()), f"workers {states}")

    def _ready_line(self) -> bool:
        return b"READY " in self.err.with_suffix(".out").read_bytes()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def fault(self, worker: str = "w0", **script: Any) -> None:
        """A new script for the fake that runs as this worker now."""
        row = self.workers()[worker]
        request = urllib.request.Request(
            f"http://127.0.0.1:{row['port']}/_fake/script", json.dumps(script).encode()
        )
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

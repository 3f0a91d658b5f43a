"""Real swarms for the end-to-end tests: the installed command, the real engine, builtin:demo."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

PATIENCE_S = 60.0
LSWARM = [str(Path(sys.executable).with_name("lswarm"))]
READY = re.compile(r"^READY (?P<url>http://\S+)/v1 model=(?P<model>\S+) workers=\d+ slots=\d+$")


@dataclass
class Lswarm:
    """Runs `lswarm` with a home of its own."""

    home: Path

    @property
    def env(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
        return {**kept, "LSWARM_HOME": str(self.home)}

    def __call__(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*LSWARM, *args],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=self.home,
        )

    def json(self, *args: str) -> Any:
        done = self(*args, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@dataclass
class Up:
    """A running `lswarm up`."""

    process: subprocess.Popen[str]
    url: str
    model: str
    ready_line: str
    home: Path

    @property
    def port(self) -> str:
        return self.url.rsplit(":", 1)[1]

    def workers(self) -> list[psutil.Process]:
        """The llama-server children, without the helper that votes."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [c for c in children if "_runner.py" in " ".join(c.cmdline())]

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def lswarm(tmp_path: Path) -> Lswarm:
    return Lswarm(tmp_path)


@pytest.fixture
def up(lswarm: Lswarm) -> Iterator[Callable[..., Up]]:
    """`up("--workers", "2")` starts one on a free port and waits for READY."""
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    running: list[subprocess.Popen[str]] = []

    def start(*args: str, **env: str) -> Up:
        command = [*LSWARM, "up", "--no-federation"]
        if "--config" not in args:  # a file may name another model
            command += ["--model", "builtin:demo"]
        if "--port" not in args:
            command += ["--port", "0"]
        with (lswarm.home / "up.log").open("w") as log:
            process = subprocess.Popen(
                [*command, *args],
                env={**lswarm.env, **env},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=lswarm.home,
            )
        running.append(process)
        assert process.stdout is not None
        impatience = threading.Timer(PATIENCE_S, process.kill)
        impatience.start()
        line = process.stdout.readline().rstrip("\n")
        impatience.cancel()
        match = READY.match(line)
        assert match is not None, (line, (lswarm.home / "up.log").read_text())
        return Up(process, match["url"], match["model"], line, lswarm.home)

    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert process.stdout is not None
        process.stdout.close()

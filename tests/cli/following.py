"""Commands that go on: started as users start them, read line by line, never waited for blindly."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.conftest import LSWARM

PATIENCE_S = 30.0


class Following:
    """A running `lswarm`; whoever waits for more than PATIENCE_S finds it killed."""

    def __init__(self, home: Path, *args: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LSWARM_")}
        self.process = subprocess.Popen(
            [*LSWARM, *args],
            env={**kept, "LSWARM_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=home,
        )
        self._impatience = threading.Timer(PATIENCE_S, self.process.kill)
        self._impatience.start()

    def line(self) -> str:
        """The next line it prints; "" when it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def lines(self, count: int) -> list[str]:
        return [self.line() for _ in range(count)]

    def until(self, part: str) -> str:
        """The next line that has `part` in it."""
        while part not in (line := self.line()):
            assert line, f"ended before {part!r}: {self.errors()}"
        return line

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def stop_reading(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self._impatience.cancel()
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def following(home: Path, *args: str) -> Iterator[Following]:
    command = Following(home, *args)
    try:
        yield command
    finally:
        command.close()

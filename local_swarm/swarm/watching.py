"""Looks at a running swarm again and again, through its restarts too. Blocking calls."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from local_swarm.config.paths import Paths
from local_swarm.errors import NotRunningError
from local_swarm.supervisor.runfile import RunFile
from local_swarm.swarm import control

ANSWER_S = 10.0  # a swarm that says nothing for so long counts as not answering
BREATH_S = 0.2  # between two looks, however much happens


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: the swarm's address and status, or `why` there is none."""

    url: str = ""
    body: dict[str, Any] | None = None
    why: str = ""


def status_of(run: RunFile) -> dict[str, Any]:
    """The status of a swarm. Raises NotRunningError when it does not answer in ANSWER_S."""
    return replace(control.Client.of(run), timeout_s=ANSWER_S).status()


def watch(paths: Paths, port: int | None, interval_s: float) -> Iterator[Seen]:
    """A look now, at each event of the swarm, and `interval_s` after the last one, without end.

    Without a port it stays with the swarm it saw last, as long as that runs. Raises UsageError
    where there are several then and none is named.
    """
    last = port
    with contextlib.closing(_Bell()) as bell:
        while True:
            try:
                run = _find(paths, port, last)
                bell.listen(run)  # before the look, so that nothing happens unseen between them
                seen = Seen(run.url, status_of(run))
                last = urlsplit(run.url).port
            except (NotRunningError, control.GatewayAnsweredError) as error:
                seen = Seen(why=error.message)
            yield seen
            time.sleep(BREATH_S)
            bell.wait(interval_s - BREATH_S)


def _find(paths: Paths, port: int | None, last: int | None) -> RunFile:
    with contextlib.suppress(NotRunningError):
        return control.find(paths, last)
    return control.find(paths, port)


class _Bell:
    """Rings when the swarm sends an event. What it says does not matter, so nothing is parsed."""

    def __init__(self) -> None:
        self._url = ""
        self._stream: socket.socket | None = None

    def listen(self, run: RunFile) -> None:
        """Listens to this swarm, unless it does already or cannot; then only time passes."""
        if self._stream is not None and self._url == run.url:
            return
        self.close()
        parts = urlsplit(run.url)
        request = (
            f"GET /v1/swarm/events HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {run.control_key}\r\n\r\n"
        )
        with contextlib.suppress(OSError):
            address = (parts.hostname or "", parts.port or 80)
            self._url, self._stream = run.url, socket.create_connection(address, ANSWER_S)
            self._stream.sendall(request.encode())

    def wait(self, seconds: float) -> None:
        """Until it rings or the time is up."""
        if self._stream is None:
            time.sleep(max(0.0, seconds))
            return
        readable, _, _ = select.select([self._stream], [], [], max(0.0, seconds))
        if readable and not self._heard():
            self.close()

    def _heard(self) -> bool:
        """Takes what has come; False when nothing will come any more."""
        assert self._stream is not None
        try:
            return bool(self._stream.recv(1 << 16))
        except OSError:
            return False

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

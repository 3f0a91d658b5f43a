"""What wakes a look at a running swarm."""

from __future__ import annotations

import contextlib
import os
import socket

from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm import watching

PATIENCE_S = 10.0


def test_events_that_have_ended_are_listened_to_anew() -> None:
    """Else a swarm that came back would be seen by the clock only, and its end at every look."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        contextlib.closing(watching._Bell()) as bell,
    ):
        server.settimeout(PATIENCE_S)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        run = RunFile(ProcessId.of(os.getpid()), url, "token", "control-key", "demo")
        for _ in range(2):
            bell.listen(run)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(PATIENCE_S)
                assert b"Bearer control-key" in connection.recv(4096)
            bell.wait(PATIENCE_S)

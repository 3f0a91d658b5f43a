from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.readiness import may_listen
from tests.fakes.fake_http import Request, Responder, connection_handler
from tests.swarms import Shape, fleet_of, until


def test_who_listens_is_told_from_who_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert may_listen(os.getpid(), port)
        assert not may_listen(os.getpid(), port + 1)
        code = "import sys; sys.stdin.read()"
        other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        try:
            assert not may_listen(other.pid, port)
        finally:
            other.kill()
            other.communicate()
        assert not may_listen(other.pid, port)


async def test_a_stranger_on_the_port_is_not_taken_for_the_worker(monkeypatch) -> None:
    """It answers whatever it is asked; the worker, which cannot have the port, dies."""

    async def stranger(request: Request, responder: Responder) -> None:
        await responder.send(200, {"status": "ok"})

    server = await asyncio.start_server(connection_handler(stranger), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr("tests.swarms.free_port", lambda: port)
    seen = []
    async with server, fleet_of(Shape(), wait_ready=False) as fleet:
        fleet.subscribe(lambda: seen.extend(fleet.states().values()))
        await until(fleet, lambda: bool(fleet.keepers["w0"].deaths))
    assert WorkerState.READY not in seen

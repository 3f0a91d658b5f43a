"""The port of the settings: free, ours, or somebody else's."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from local_swarm.swarm.doctor.finding import Context, Finding, error, ok


def check(context: Context) -> Iterator[Finding]:
    host, port = context.config.server.host, context.server_port
    if port == 0:
        yield ok("Any free port is taken.")
        return
    ours = [run for run in context.runs() if urlsplit(run.url).port == port]
    if alive := [run for run in ours if run.supervisor.process() is not None]:
        yield ok(f"Port {port} is held by our own swarm (pid {alive[0].supervisor.pid}).")
    elif (refused := _refusal(host, port)) is None:
        yield ok(f"Port {port} at {host} is free.")
    else:
        yield judged(host, port, refused, _holder(port))


def judged(host: str, port: int, refused: OSError, holder: str) -> Finding:
    if refused.errno == errno.EADDRNOTAVAIL or isinstance(refused, socket.gaierror):
        return error(
            f"{host} is no address of this machine.",
            "Set server.host to one it has; 127.0.0.1 is always there.",
        )
    if refused.errno in (errno.EACCES, errno.EPERM):
        return error(f"This user may not listen on port {port}.", "Take one from 1024 on.")
    return error(
        f"Port {port} is held by {holder}.", "End that program, or use another port with --port."
    )


def _refusal(host: str, port: int) -> OSError | None:
    """Why nobody can listen there; None where one can."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as refused:
        return refused
    return None


def _holder(port: int) -> str:
    """Whose socket listens there, as far as this user may see."""
    with contextlib.suppress(psutil.Error, OSError):
        for socket_ in psutil.net_connections("tcp"):
            if socket_.laddr and socket_.laddr.port == port and socket_.pid:
                return f"{psutil.Process(socket_.pid).name()} (pid {socket_.pid})"
    return "another program, which this user may not see"

"""Tells systemd how the service is doing (sd_notify(3)); does nothing where nobody listens."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(message: str) -> bool:
    """Sends e.g. `READY=1` to NOTIFY_SOCKET. True when there was somebody to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        sender.connect(target)
        sender.sendall(message.encode())
        return True
    return False

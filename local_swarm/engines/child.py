"""What the programs that run as children check before they load a model. Blocks for no time."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> str | None:
    """Linux: asks the kernel for SIGKILL when the parent's thread that started us ends.

    Says what is wrong where the parent is gone already.
    """
    if sys.platform != "linux":
        return None
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # It may have died during the call. Comparing with 1 would be wrong: in a container the parent
    # is often PID 1 itself.
    return None if os.getppid() == parent else f"the parent {parent} is gone"


def model_problem(path: str) -> str | None:
    """What is wrong with the file as far as its first bytes tell."""
    if not path:
        return "no model was given"
    try:
        with open(path, "rb") as file:
            magic = file.read(4)
    except OSError as error:
        return f"cannot read the model {path}: {error.strerror}"
    return None if magic == b"GGUF" else f"the model {path} is no GGUF file"


def port_problem(host: str, port: int) -> str | None:
    """Whether somebody listens there already."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return f"cannot listen on {host} port {port}: {error.strerror}"
    return None

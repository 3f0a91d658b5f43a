"""Waits for jobs, and forks a keeper for each: so it never holds one, and neither does what is
forked from it later."""

from __future__ import annotations

import os
import select
from typing import Any

from . import frames, keeper, namespaces, selftest


def serve(fd: int, leash: int | None) -> None:
    """Serves the pool at the other end of `fd` until it is gone. `leash` is a descriptor that
    becomes readable when the pool's process has ended."""
    frames.send(fd, {"holes": selftest.holes()})
    leashes = [fd] if leash is None else [fd, leash]
    poller = select.poll()
    for each in leashes:
        poller.register(each, select.POLLIN)
    while True:
        ready = [each for each, _ in poller.poll()]
        if ready != [fd] or not _keep(fd, leashes):
            return


def _keep(fd: int, leashes: list[int]) -> bool:
    """Has a keeper take the job that lies in `fd`; False when it could not."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            namespaces.die_with_parent(parent)
            order: Any = frames.receive(fd)
            frames.send(fd, keeper.report(order, leashes))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0

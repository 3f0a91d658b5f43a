"""What this user may take: open files, cores."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import psutil

from local_swarm.config import Config
from local_swarm.hardware.cgroup import cpu_quota
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning

OWN_FILES = 128  # what the program has open besides connections


def check(context: Context) -> Iterator[Finding]:
    yield from _files(context.config)
    cores = psutil.cpu_count() or 1
    quota = cpu_quota(context.roots)
    if quota is not None and quota < cores:
        yield note(f"The container may use {quota:g} of {cores} cores.")
        cores = max(1, int(quota))
    yield from threads(context.config, cores)


def files(allowed: int, connections: int) -> Finding:
    """A voted request is a connection of its client and one to each worker that it asks."""
    needed = 3 * connections + OWN_FILES
    if allowed >= needed:
        return ok(f"{allowed} files may be open at a time.")
    return warning(
        f"Only {allowed} files may be open at a time; {connections} connections need {needed}.",
        "Raise it (`ulimit -n 65536`, LimitNOFILE in a unit), or lower server.max_connections.",
    )


def threads(config: Config, cores: int) -> Iterator[Finding]:
    """More threads than cores make answers many times slower."""
    if isinstance(config.swarm.threads, str):
        return
    workers = 1 if isinstance(config.swarm.workers, str) else config.swarm.workers
    wanted = workers * config.swarm.threads
    if wanted > cores:
        yield warning(
            f"The settings ask for {wanted} threads in all, and there are {cores} cores.",
            "Leave swarm.threads out: it then shares the cores between the workers.",
        )


def _files(config: Config) -> Iterator[Finding]:
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:  # Windows has no such limit
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        yield files(soft, config.server.max_connections)

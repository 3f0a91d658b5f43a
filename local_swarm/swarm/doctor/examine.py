"""Runs checks side by side without trusting them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import psutil

from local_swarm.swarm.doctor.finding import Check, Context, Finding, warning

TIMEOUT_S = 4.0


def examine(
    context: Context, checks: Sequence[Check], *, timeout_s: float = TIMEOUT_S
) -> tuple[Finding, ...]:
    """What the checks find, in their order. Blocks `timeout_s` at most.

    One that raises or is late (a driver may hang) is a finding itself. A late one is left behind
    in its daemon thread, and the processes that were started meanwhile are killed.
    """
    before = set(psutil.Process().children(recursive=True))
    found: dict[str, tuple[Finding, ...]] = {}
    threads = [
        threading.Thread(target=_work, args=(check, context, found), name=check.name, daemon=True)
        for check in checks
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    results = [found.get(check.name, (_late(timeout_s),)) for check in checks]
    if len(found) < len(checks):
        _end_children(before)
    return tuple(
        replace(finding, check=check.name)
        for check, result in zip(checks, results, strict=True)
        for finding in result
    )


def _work(check: Check, context: Context, found: dict[str, tuple[Finding, ...]]) -> None:
    try:
        found[check.name] = tuple(check.find(context))
    except Exception as exc:
        found[check.name] = (_failed(exc),)


def _late(timeout_s: float) -> Finding:
    return warning(
        f"This check did not end within {timeout_s:.0f} s.",
        "Try again when the machine has less to do; if it stays so, a driver or a disk hangs.",
    )


def _failed(exc: Exception) -> Finding:
    return warning(
        f"This check failed: {type(exc).__name__}: {exc}.",
        "Please report it, with what `lswarm doctor --bundle FILE.zip` writes.",
    )


def _end_children(before: set[psutil.Process]) -> None:
    for child in set(psutil.Process().children(recursive=True)) - before:
        with contextlib.suppress(psutil.Error):
            child.kill()

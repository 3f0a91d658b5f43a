"""What came of a change of a running swarm."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """`done` are sentences for people. `applied` and `needs_restart` name settings: those that hold
    from now on, and those that do only after `lswarm down` and `lswarm up`. `workers` were
    restarted."""

    done: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()

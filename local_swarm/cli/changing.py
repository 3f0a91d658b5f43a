"""What the commands share that change a running swarm: `restart`, `scale`, `reload`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from local_swarm.swarm.control import Client


def change(port: int | None, ask: Callable[[Client], dict[str, Any]], *, json_: bool) -> None:
    """Asks the running swarm, waits until it is done, and shows its report."""
    from local_swarm.config.paths import user_paths
    from local_swarm.swarm import control

    report = ask(control.Client.of(control.find(user_paths(), port)))
    if json_:
        click.echo(json.dumps(report, indent=2))
    else:
        for line in told(report):
            click.echo(line)


def told(report: dict[str, Any]) -> list[str]:
    """A report in sentences."""
    lines = [str(sentence) for sentence in report["done"]]
    if names := report["applied"]:
        lines.append(f"Applied: {', '.join(names)}.")
    if names := report["needs_restart"]:
        verb = "holds" if len(names) == 1 else "hold"
        lines.append(f"{', '.join(names)} {verb} only after `lswarm down` and `lswarm up`.")
    return lines

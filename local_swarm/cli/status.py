"""`lswarm status`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from local_swarm.cli import options

if TYPE_CHECKING:
    from local_swarm.swarm.watching import Seen


@click.command()
@click.option("--port", type=int, help="Which swarm, where several run.")
@click.option("-w", "--watch", is_flag=True, help="Go on showing it; Ctrl-C ends that.")
@click.option(
    "--interval", type=click.FloatRange(min=0.2, max=3600), default=2.0, show_default=True,
    help="Seconds between two looks of --watch, where nothing happens.",
)  # fmt: skip
@options.as_json
@options.general
def status(
    config_path: str | None,
    verbose: bool,
    port: int | None,
    watch: bool,
    interval: float,
    json_: bool,
) -> None:
    """Show the running swarm.

    With --watch it is shown anew whenever something happens, also after a restart: on a terminal
    in place, elsewhere one line for each change, with --json one object a line.
    """
    from local_swarm.cli.pipes import until_closed
    from local_swarm.config.paths import user_paths
    from local_swarm.swarm import control, watching

    if watch:
        with until_closed():
            _follow(watching.watch(user_paths(), port, interval), json_=json_)
        return
    run = control.find(user_paths(), port)
    body = watching.status_of(run)
    if json_:
        click.echo(json.dumps(body, indent=2))
    else:
        from local_swarm.cli import render

        render.status(run.url, body)


def _follow(looks: Iterable[Seen], *, json_: bool) -> None:
    from local_swarm.cli import render

    if json_:
        _print_changes(json.dumps(look.body or {"running": False}) for look in looks)
    elif sys.stdout.isatty():
        render.live_status((look.url, look.body, look.why) for look in looks)
    else:
        lines = (render.status_line(look.url, look.body, look.why) for look in looks)
        _print_changes(lines, stamped=True)


def _print_changes(lines: Iterable[str], *, stamped: bool = False) -> None:
    """A line for each change. Of a running swarm every object differs by its uptime, so with
    --json each look is one."""
    last = None
    for line in lines:
        if line != last:
            click.echo(f"{time.strftime('%H:%M:%S')} {line}" if stamped else line)
        last = line

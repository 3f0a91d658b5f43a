"""`lswarm status`."""

from __future__ import annotations

import json

import click

from local_swarm.cli import options


@click.command()
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.as_json
@options.general
def status(config_path: str | None, verbose: bool, port: int | None, json_: bool) -> None:
    """Show the running swarm."""
    from local_swarm.cli import render
    from local_swarm.config.paths import user_paths
    from local_swarm.swarm import control

    run = control.find(user_paths(), port)
    body = control.Client.of(run).status()
    if json_:
        click.echo(json.dumps(body, indent=2))
    else:
        render.status(run.url, body)

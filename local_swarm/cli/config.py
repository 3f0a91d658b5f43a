"""`lswarm config`."""

from __future__ import annotations

import json

import click

from local_swarm.cli import options


@click.group()
def config() -> None:
    """Show the settings and where each comes from."""


@config.command()
@click.option("--origin", is_flag=True, help="Also show where each value comes from.")
@options.as_json
@options.general
def show(config_path: str | None, verbose: bool, origin: bool, json_: bool) -> None:
    """Show every setting in force. Keys are masked."""
    from local_swarm.cli import render
    from local_swarm.config.show import rows

    found = rows(options.settings(config_path))
    if json_:
        document = {
            row.key: {"value": row.value, "origin": str(row.origin)} if origin else row.value
            for row in found
        }
        click.echo(json.dumps(document, indent=2))
    else:
        render.settings(found, origin=origin)

"""`lswarm hardware`."""

from __future__ import annotations

import json

import click

from local_swarm.cli import options


@click.command()
@options.as_json
@options.general
def hardware(config_path: str | None, verbose: bool, json_: bool) -> None:
    """Show what this machine has, as plans see it."""
    from local_swarm import hardware as room
    from local_swarm.cli import render
    from local_swarm.swarm.machine import found

    config = options.settings(config_path).config
    machine = found(config.engine.name, config.engine.path)
    document = room.to_dict(machine.host)
    for note in machine.notes:
        render.say(note)
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        render.hardware(document, undriven=machine.undriven)

"""`lswarm plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from local_swarm.cli import options


@click.command()
@options.planning
@click.option("--hardware-file", type=click.Path(path_type=Path), help="Plan for that machine.")
@options.as_json
@options.general
def plan(
    config_path: str | None,
    verbose: bool,
    model: str | None,
    hardware_file: Path | None,
    json_: bool,
    **flags: Any,
) -> None:
    """Show what would run, where, and why. Starts nothing."""
    from local_swarm import hardware
    from local_swarm.cli import render
    from local_swarm.swarm.planning import plan_document, prepare
    from local_swarm.telemetry import logs

    loaded = options.settings(config_path, **flags)
    logs.configure(level="debug" if verbose else loaded.config.logs.level)
    host = hardware.load(hardware_file) if hardware_file else None
    prepared = prepare(loaded.config, model=model, host=host, unseen=True)
    document = plan_document(prepared)
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        render.plan(document)

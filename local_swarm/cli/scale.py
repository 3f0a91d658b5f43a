"""`lswarm scale`."""

from __future__ import annotations

import click

from local_swarm.cli import options
from local_swarm.cli.changing import change


@click.command()
@click.argument("workers", type=click.IntRange(min=1))
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.as_json
@options.general
def scale(
    config_path: str | None, verbose: bool, port: int | None, workers: int, json_: bool
) -> None:
    """Run so many WORKERS, planned anew for this machine.

    It holds until the swarm is stopped, or a reload changes `swarm.workers`.
    """
    change(port, lambda client: client.scale(workers), json_=json_)

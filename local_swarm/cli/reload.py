"""`lswarm reload`."""

from __future__ import annotations

import click

from local_swarm.cli import options
from local_swarm.cli.changing import change


@click.command()
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.as_json
@options.general
def reload(config_path: str | None, verbose: bool, port: int | None, json_: bool) -> None:
    """Apply the changed configuration to the running swarm, with the fewest restarts.

    The swarm reads the file that it was started with again; its flags and environment stay. SIGHUP
    does the same.
    """
    change(port, lambda client: client.reload(), json_=json_)

"""`lswarm restart`."""

from __future__ import annotations

import click

from local_swarm.cli import options
from local_swarm.cli.changing import change


@click.command()
@click.argument("worker", required=False)
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.as_json
@options.general
def restart(
    config_path: str | None, verbose: bool, port: int | None, worker: str | None, json_: bool
) -> None:
    """Restart the workers of the running swarm, one at a time, or only WORKER.

    Each finishes what it is answering first; requests that come meanwhile are answered by the
    others, or wait.
    """
    change(port, lambda client: client.restart(worker), json_=json_)

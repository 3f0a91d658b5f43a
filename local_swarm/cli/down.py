"""`lswarm down`."""

from __future__ import annotations

import click

from local_swarm.cli import options


@click.command()
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.general
def down(config_path: str | None, verbose: bool, port: int | None) -> None:
    """Stop the running swarm; what it is answering is finished first."""
    from local_swarm.config.paths import user_paths
    from local_swarm.errors import LocalSwarmError
    from local_swarm.swarm import control

    loaded = options.settings(config_path)
    run = control.find(user_paths(), port)
    if not control.stop(run, loaded.config.swarm.stop_timeout_s):
        raise LocalSwarmError(
            f"The swarm (pid {run.supervisor.pid}) has not stopped yet.",
            hint="It may still be answering; `lswarm down` again, or end the process.",
        )
    click.echo(f"Stopped the swarm at {run.url}.", err=True)

"""`lswarm up`."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import local_swarm.__main__
from local_swarm.cli import options

if TYPE_CHECKING:
    from local_swarm.config import Config, Loaded
    from local_swarm.config.paths import Paths
    from local_swarm.swarm.own_log import OwnLog


@click.command(context_settings={"ignore_unknown_options": False})
@options.planning
@click.option("--host", metavar="H", help="Address to listen on (default: 127.0.0.1).")
@click.option("--port", metavar="P", help="Port (default: 8000; 0: any free one).")
@click.option("--strategy", metavar="S", help="How answers are compared.")
@click.option("--detach", is_flag=True, help="Return once it is ready; stop with `lswarm down`.")
@click.option("--no-federation", is_flag=True, help="Neither find nor serve peers.")
@options.general
@click.argument("engine_args", nargs=-1, type=click.UNPROCESSED)
def up(
    config_path: str | None,
    verbose: bool,
    model: str | None,
    detach: bool,
    no_federation: bool,
    engine_args: tuple[str, ...],
    **flags: Any,
) -> None:
    """Start a swarm and serve until stopped. What follows `--` goes to the engine.

    When it is ready it prints one line: READY http://HOST:PORT/v1 model=ID workers=K slots=N
    """
    from local_swarm.config.paths import user_paths
    from local_swarm.swarm.starting import refuse_second

    federation = False if no_federation else None
    read = functools.partial(options.settings, config_path, federation=federation, **flags)
    config, paths = read().config, user_paths()
    refuse_second(paths, config.server.port)
    own_log = _own_log(config)
    if detach and own_log is None:
        from local_swarm.swarm import detached

        # Not `-m local_swarm`: that would run a package of this name in the current folder.
        command = [sys.executable, local_swarm.__main__.__file__, *sys.argv[1:]]
        click.echo(detached.start(command, paths.state / "logs"))
        return
    _serve(read, paths, model, engine_args, own_log, verbose=verbose)


def _serve(
    read: Callable[[], Loaded],
    paths: Paths,
    model: str | None,
    engine_args: tuple[str, ...],
    own_log: OwnLog | None,
    *,
    verbose: bool,
) -> None:
    import asyncio

    from local_swarm.supervisor.init import step_aside
    from local_swarm.swarm import notify
    from local_swarm.swarm.lifecycle import Running, Settings, serve
    from local_swarm.swarm.planning import prepare
    from local_swarm.telemetry import logs

    def log_as(config: Config) -> None:
        level = "debug" if verbose else config.logs.level
        logs.configure(level=level, prompts=config.logs.prompts)

    def announce(swarm: Running) -> None:
        click.echo(swarm.ready_line)

    async def run() -> None:
        settings = Settings(read, log_as)
        if own_log is None:
            await serve(prepared, paths, announce, settings=settings)
            return
        async with own_log.kept_small():
            await serve(prepared, paths, announce, settings=settings, listens=own_log.move)

    step_aside()  # before there is any thread
    config = read().config
    log_as(config)
    with notify.preparing():
        prepared = prepare(config, model=model, engine_args=engine_args)
    logs.hide(prepared.child_key, *config.server.api_keys)
    asyncio.run(run())


def _own_log(config: Config) -> OwnLog | None:
    """Of a detached swarm, which this process then is; what it starts is none."""
    from local_swarm.swarm.own_log import VARIABLE, OwnLog

    path = os.environ.pop(VARIABLE, "")
    if not path:
        return None
    return OwnLog(Path(path), max_bytes=config.logs.max_bytes, backups=config.logs.backups)

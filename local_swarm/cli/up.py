"""`lswarm up`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

import local_swarm.__main__
from local_swarm.cli import options

DETACH_TIMEOUT_S = 600.0


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
    federation = False if no_federation else None
    loaded = options.settings(config_path, federation=federation, **flags)
    config = loaded.config
    if detach:
        _detach(config.server.port, sys.argv)
        return
    import asyncio

    from local_swarm.config.paths import user_paths
    from local_swarm.swarm.lifecycle import Running, serve
    from local_swarm.swarm.planning import prepare
    from local_swarm.telemetry import logs

    logs.configure(level="debug" if verbose else config.logs.level, prompts=config.logs.prompts)
    prepared = prepare(config, model=model, engine_args=engine_args)
    logs.hide(prepared.child_key, *config.server.api_keys)

    def announce(swarm: Running) -> None:
        click.echo(swarm.ready_line)

    asyncio.run(serve(prepared, user_paths(), announce))


def _detach(port: int, argv: list[str]) -> None:
    """Starts the same command in the background and waits for its READY line."""
    from local_swarm.config.paths import ensured, user_paths
    from local_swarm.errors import WorkerStartError

    log = ensured(user_paths().state / "logs") / f"up-{port}.log"
    command = [a for a in argv[1:] if a != "--detach"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, local_swarm.__main__.__file__, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + DETACH_TIMEOUT_S
    while time.monotonic() < deadline:
        code = process.poll()
        if line := _ready_line(log):
            click.echo(line)
            return
        if code is not None:
            click.echo(log.read_text(errors="replace"), err=True, nl=False)
            sys.exit(code)
        time.sleep(0.05)
    process.terminate()
    raise WorkerStartError(f"Not ready after {DETACH_TIMEOUT_S:.0f} s.", hint=f"See {log}.")


def _ready_line(log: Path) -> str | None:
    lines = log.read_text(errors="replace").splitlines()
    return next((line for line in lines if line.startswith("READY ")), None)

"""`lswarm logs`."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

import click

from local_swarm.cli import options


@click.command()
@click.argument("worker", required=False)
@click.option("--port", type=int, help="Which swarm, where several run.")
@click.option("-n", "--lines", default=50, show_default=True, help="Last lines of each worker.")
@click.option("-f", "--follow", is_flag=True, help="Go on showing what is written.")
@options.general
def logs(
    config_path: str | None,
    verbose: bool,
    worker: str | None,
    port: int | None,
    lines: int,
    follow: bool,
) -> None:
    """Show what the workers wrote (of the running swarm, or of the last one on a port)."""
    from local_swarm.config.paths import chosen, user_paths
    from local_swarm.errors import NotRunningError, UsageError
    from local_swarm.swarm import control

    loaded = options.settings(config_path)
    paths = user_paths()
    try:
        port = urlsplit(control.find(paths, port).url).port
    except NotRunningError:
        port = port if port is not None else loaded.config.server.port
    directory = chosen(loaded.config.logs.dir, paths.state / "logs") / str(port)
    files = sorted(directory.glob("*.log"))
    if worker is not None:
        names = ", ".join(f.stem for f in files) or "none"
        files = [f for f in files if f.stem == worker]
        if not files:
            raise UsageError(f"There is no log of {worker!r}.", hint=f"Workers: {names}.")
    if not files:
        raise NotRunningError(f"No worker has written to {directory}.")
    for file in files:
        for line in _last_lines(file, lines):
            click.echo(line)
    if follow:
        _follow(files)


def _last_lines(file: Path, count: int) -> deque[str]:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return deque((line.rstrip("\n") for line in stream), maxlen=count)


def _follow(files: list[Path]) -> None:
    """Shows what is added, also after a file was rotated, until interrupted."""
    seen = {file: file.stat().st_size for file in files}
    while True:
        for file in files:
            size = file.stat().st_size if file.exists() else 0
            start = seen[file] if size >= seen[file] else 0
            if size > start:
                with file.open("rb") as stream:
                    stream.seek(start)
                    click.echo(stream.read(size - start).decode("utf-8", "replace"), nl=False)
            seen[file] = size
        time.sleep(0.2)

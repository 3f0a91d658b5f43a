"""`lswarm logs`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from local_swarm.cli import options

POLL_S = 0.2
SWARM = "swarm"  # the supervisor's own log among the workers'


@click.command()
@click.argument("worker", required=False)
@click.option("--port", type=int, help="Which swarm, where several run.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True,
    help="Last lines of each worker.",
)  # fmt: skip
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
    """Show what the workers wrote (of the running swarm, or of the last one on a port).

    The name "swarm" is the supervisor's own log, of a swarm that was started with --detach.
    """
    from local_swarm.cli.pipes import until_closed
    from local_swarm.errors import NotRunningError, UsageError

    places = _places(config_path, port)
    files = places.files(worker)
    if not files and worker is not None:
        names = ", ".join(places.files()) or "none"
        raise UsageError(f"There is no log of {worker!r}.", hint=f"Workers: {names}.")
    if not files and not follow:
        raise NotRunningError(
            f"No worker has written to {places.directory}.", hint="Start a swarm with `lswarm up`."
        )
    with until_closed():
        _show(functools.partial(places.files, worker), lines, follow=follow)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the workers of a swarm and its supervisor write, and when that started."""

    directory: Path
    since: float

    def files(self, worker: str | None = None) -> dict[str, Path]:
        """The logs that there are now, by worker; only one worker's where it is named."""
        from local_swarm.swarm.log_files import worker_logs

        found = worker_logs(self.directory).items()
        return {
            name: file
            for name, file in found
            if worker in (None, name) and (name != SWARM or self._is_of_this_run(file))
        }

    def _is_of_this_run(self, own: Path) -> bool:
        """One that was started in the foreground has left that of an earlier one as it was."""
        try:
            return own.stat().st_mtime >= self.since
        except OSError:
            return False


def _places(config_path: str | None, port: int | None) -> Places:
    """Of the running swarm, or of the last one on its port. Raises ConfigError, UsageError."""
    from local_swarm.config.paths import chosen, user_paths
    from local_swarm.errors import NotRunningError
    from local_swarm.swarm import control

    config, paths = options.settings(config_path).config, user_paths()
    since = 0.0
    try:
        run = control.find(paths, port)
    except NotRunningError:
        port = port if port is not None else config.server.port
    else:
        port, process = urlsplit(run.url).port, run.supervisor.process()
        since = process.create_time() if process else 0.0
    return Places(chosen(config.logs.dir, paths.state / "logs") / str(port), since)


def _show(find: Callable[[], dict[str, Path]], lines: int, *, follow: bool) -> None:
    from local_swarm.cli.pipes import is_read
    from local_swarm.swarm.log_files import Follower, tail

    follower = Follower(find)
    for name, path in find().items():
        seen = tail(path, lines)
        follower.after(path, seen)
        rest = () if follow or not (seen.rest and lines) else (seen.rest,)
        _print([(name, line) for line in (*seen.lines, *rest)])
    while follow and is_read():
        if written := follower.read():
            _print(written)
        else:
            time.sleep(POLL_S)


def _print(lines: list[tuple[str, str]]) -> None:
    """The supervisor's own lines do not say whose they are; the workers' do."""
    shown = (f"{SWARM} | {line}" if name == SWARM else line for name, line in lines)
    if text := "\n".join(shown):
        click.echo(text)

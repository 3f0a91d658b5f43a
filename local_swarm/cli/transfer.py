"""How far a download is: a bar on a terminal, a plain line per tenth elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local_swarm.cli import render
from local_swarm.domain.memory import format_bytes

PLAIN_STEPS = 10


@contextmanager
def transfer(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function to call with the bytes done and all bytes; talk goes to stderr."""
    console = render.console(stderr=True)
    if not console.is_terminal:
        yield _plain(what)
        return
    from rich import progress
    from rich.markup import escape

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(binary_units=True),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(escape(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str) -> Callable[[int, int], None]:
    said = -1

    def report(done: int, total: int) -> None:
        nonlocal said
        step = done * PLAIN_STEPS // total if total else PLAIN_STEPS
        if step > said:
            said = step
            render.say(f"{what}: {step * 100 // PLAIN_STEPS}% of {format_bytes(total)}")

    return report

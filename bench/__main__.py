"""`python -m bench [PART...] [--json FILE] [--litellm auto|install|off|PYTHON]`."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
from rich.console import Console

from bench import clients, hostile, litellm, overhead, relay, swarm, votes
from bench.figures import Report, show


@dataclass(frozen=True)
class Given:
    """The options that parts heed."""

    litellm: Path | None
    model: str
    tokens: int


Part = Callable[[Given], Awaitable[list[Report]]]

PARTS: dict[str, Part] = {
    "overhead": lambda given: overhead.run(given.litellm),
    "relay": lambda _: relay.run(),
    "clients": lambda _: clients.run(),
    "votes": lambda _: votes.run(),
    "swarm": lambda given: swarm.run(given.model, given.tokens),
    "hostile": lambda _: hostile.run(),
}


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--json", "json_file", metavar="FILE", help="Write the figures there too.")
@click.option(
    "--litellm",
    "litellm_wish",
    metavar="WISH",
    default="auto",
    help="auto (where it is installed), install, off, or a Python that has it.",
)
@click.option("--model", metavar="M", default=swarm.MODEL, help="For swarm: as `lswarm up` has it.")
@click.option("--tokens", default=swarm.TOKENS, help="For swarm: in each answer.")
def main(
    parts: tuple[str, ...], json_file: str | None, litellm_wish: str, model: str, tokens: int
) -> None:
    """Measure the gateway; without PARTS all of it, in about four minutes."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    python = litellm.python_of(litellm_wish)
    if python is None:
        console.print("litellm's proxy is left out; --litellm install gets it (a minute).")
    figures: dict[str, object] = {"machine": _machine()}
    for part in parts or PARTS:
        started = time.monotonic()
        reports = asyncio.run(_run(PARTS[part], Given(python, model, tokens)))
        for report in reports:
            show(report, console)
        console.print(f"  ({part}: {time.monotonic() - started:.0f} s)", style="dim")
        figures[part] = [report.as_json() for report in reports]
    if json_file is not None:
        Path(json_file).write_text(json.dumps(figures, indent=1) + "\n")


async def _run(part: Part, given: Given) -> list[Report]:
    return await part(given)


def _machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "load_before": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()

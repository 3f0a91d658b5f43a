"""Options that several commands share, and the settings they end up in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from local_swarm.config import Loaded, load

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {
    "host": "server.host",
    "port": "server.port",
    "workers": "swarm.workers",
    "slots": "swarm.slots",
    "ctx": "swarm.ctx",
    "voters": "swarm.voters",
    "strategy": "swarm.strategy",
    "layout": "swarm.layout",
    "engine": "engine.name",
    "federation": "federation.enabled",
}
"""Command-line option -> the setting it overrides."""


def general(command: F) -> F:
    """--config and -v, which every command takes."""
    command = click.option("-v", "--verbose", is_flag=True, help="Show tracebacks and more.")(
        command
    )
    return click.option("--config", "config_path", metavar="FILE", help="Settings file to use.")(
        command
    )


def as_json(command: F) -> F:
    return click.option("--json", "json_", is_flag=True, help="Print JSON.")(command)


def planning(command: F) -> F:
    """What decides the plan: model, layout and sizes."""
    for option in reversed(
        [
            click.option(
                "--model",
                "-m",
                metavar="M",
                help="builtin:demo, a path to a .gguf, or a catalogue name.",
            ),
            click.option("--workers", metavar="K", help="Worker processes (default: auto)."),
            click.option("--slots", metavar="N", help="Slots per worker (default: voters + 1)."),
            click.option("--ctx", metavar="N", help="Context per slot, in tokens."),
            click.option("--voters", "--instances", metavar="N", help="How many answer a request."),
            click.option("--layout", metavar="L", help="auto or processes."),
            click.option("--engine", metavar="E", help="auto, or one that docs/engines.md lists."),
        ]
    ):
        command = option(command)
    return command


def settings(config_path: str | None, **flags: object) -> Loaded:
    """The settings with these flags on top; None means not given. Raises ConfigError."""
    named = {SETTINGS[name]: value for name, value in flags.items() if name in SETTINGS}
    return load(flags=named, config_path=config_path)

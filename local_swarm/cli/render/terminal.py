"""Consoles, tables and cells, which all that is shown is made of."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local_swarm.domain.memory import format_bytes


def console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False)


def say(text: str) -> None:
    """Talk, not data."""
    console(stderr=True).print(escape(text))


def new_table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def cells(*values: object) -> list[str]:
    return ["-" if value is None else escape(str(value)) for value in values]


def size_of(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else format_bytes(size_bytes)

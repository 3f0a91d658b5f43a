"""A machine and its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape

from local_swarm.cli.render.terminal import cells, console, new_table, size_of
from local_swarm.config.show import Row, as_toml


def settings(rows: Iterable[Row], *, origin: bool) -> None:
    table = new_table("setting", "value", *(["from"] if origin else []))
    for row in rows:
        table.add_row(*cells(row.key, as_toml(row.value), *([row.origin] if origin else [])))
    console().print(table)


def hardware(host: dict[str, Any], *, undriven: bool = False) -> None:
    """`undriven`: there are accelerators, and the engine can use none of them."""
    cpu, memory = host["cpu"], host["memory"]
    table = new_table("what", "how much")
    table.add_row("system", escape(f"{host['os']} {host['arch']}"))
    table.add_row("cpu", *cells(cpu["model"]))
    table.add_row("cores", f"{cpu['physical'] or '?'} physical, {cpu['logical']} logical")
    table.add_row("memory", *cells(size_of(memory["total_bytes"])))
    table.add_row("available", *cells(size_of(memory["available_bytes"])))
    table.add_row("container limit", *cells(size_of(memory["limit_bytes"])))
    for device in host["devices"]:
        what = f"{device['name']} ({device['backend']}), {size_of(device['total_bytes'])}"
        table.add_row(escape(device["id"]), escape(what))
    if not host["devices"]:
        none = "none that the engine can use" if undriven else "none found"
        table.add_row("accelerators", none)
    console().print(table)

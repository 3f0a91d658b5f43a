"""What would run, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from local_swarm.cli.render import rejected
from local_swarm.cli.render.terminal import cells, console, new_table, size_of

MOST_REJECTED = 6
TAKEN = {"others_bytes": "in use", "reserve_bytes": "kept free"}


def plan(document: dict[str, Any]) -> None:
    """The workers, what each takes where, what that is of each device, and why."""
    out = console()
    workers = document["workers"]
    out.print(Text(f"{document['model']}: {document['voters']} voters", style="bold"))
    for table in (_workers(workers), _parts(workers), _budget(document["budget"])):
        out.print(table, "")
    for reason in document["reasons"]:
        out.print(f"- {escape(reason)}")
    others = ((one["model"], one["why"]) for one in document["rejected"])
    for line in rejected.lines(others, most=MOST_REJECTED, more=": lswarm plan --json"):
        out.print(f"- {escape(line)}")


def _workers(workers: Sequence[dict[str, Any]]) -> Table:
    table = new_table("worker", "devices", "slots", "ctx/slot", "threads", "memory")
    for worker in workers:
        devices = ", ".join(worker["devices"])
        memory = size_of(sum(part["bytes"] for part in worker["parts"]))
        counts = (worker[key] for key in ("slots", "ctx", "threads"))
        table.add_row(*cells(worker["id"], devices, *counts, memory))
    return table


def _parts(workers: Iterable[dict[str, Any]]) -> Table:
    table = new_table("worker", "device", "what", "size")
    for worker in workers:
        for part in worker["parts"]:
            size = size_of(part["bytes"])
            table.add_row(*cells(worker["id"], part["device"], part["kind"], size))
    return table


def _budget(rows: Sequence[dict[str, Any]]) -> Table:
    """What others use and what is kept free have a column where there is any."""
    some = {key: head for key, head in TAKEN.items() if any(row[key] for row in rows)}
    columns = {"total_bytes": "total", **some, "usable_bytes": "usable", "planned_bytes": "planned"}
    table = new_table("device", *columns.values())
    for row in rows:
        table.add_row(*cells(row["device"], *(size_of(row[key]) for key in columns)))
    return table


def estimate(document: dict[str, Any], notes: Iterable[str]) -> None:
    """One row per combination; `notes` say which figures are bounds."""
    out = console()
    model = document["model"]
    out.print(
        f"{escape(model['name'] or model['arch'])} ({escape(model['arch'])}, {model['layers']}"
        f" layers, {size_of(model['size_bytes'])}, trained on {model['context_train']} tokens)"
    )
    table = new_table("ctx", "slots", "cache", "cells", "context", "weights", "compute", "total")
    for row in document["rows"]:
        window, bound = row["cells_swa"], row["compute_method"] == "bound"
        table.add_row(
            *cells(
                row["ctx"],
                f"{row['slots']}{' unified' if row['kv_unified'] else ''}",
                _cache_type(row["cache_type_k"], row["cache_type_v"]),
                f"{row['cells']}{f' + {window}' if window else ''}",
                size_of(row["context_bytes"]),
                size_of(row["weights_bytes"]),
                f"{'<= ' if bound else ''}{size_of(row['compute_bytes'])}",
                size_of(row["total_bytes"]),
            )
        )
    out.print(table)
    for note in notes:
        out.print(f"- {escape(note)}")


def _cache_type(key: str, value: str) -> str:
    return key if key == value else f"{key}:{value}"

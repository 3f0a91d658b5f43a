"""A swarm that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from local_swarm.cli.render.terminal import cells, console, new_table, size_of
from local_swarm.domain.memory import format_bytes

Worker = dict[str, Any]
Look = tuple[str, dict[str, Any] | None, str]
"""A swarm's URL, its status, and why there is none where it is None."""


def _held(worker: Worker) -> str | None:
    """RAM: the share that is its own, where the system tells it."""
    return size_of(worker.get("pss_bytes") or worker.get("rss_bytes"))


COLUMNS: tuple[tuple[str, Callable[[Worker], object]], ...] = (
    ("worker", lambda w: w["id"]),
    ("engine", lambda w: w["engine"]),
    ("state", lambda w: w["state"]),
    ("pid", lambda w: w["pid"]),
    ("slots", lambda w: f"{w['slots_busy']}/{w['slots']}"),
    ("restarts", lambda w: w["restarts"]),
    ("crashes", lambda w: w.get("crashes") or None),
    ("requests", lambda w: w["requests"]),
    ("ms", lambda w: w["latency_ms_avg"]),
    ("tok/s", lambda w: w["tokens_per_s"]),
    ("planned", lambda w: size_of(w["planned_bytes"])),
    ("observed", lambda w: size_of(w["observed_bytes"])),
    ("RAM", _held),
    ("VRAM", lambda w: size_of(w.get("vram_bytes"))),
)
"""What the table shows. A column without a value of any worker is left out."""

FIRST_TO_GO = ("engine", "pid", "planned", "observed", "tok/s", "ms", "requests", "crashes")
"""Columns that are left out, one after the other, where the terminal is too narrow for all."""


def status(url: str, body: dict[str, Any]) -> None:
    console().print(_view(url, body))


def live_status(looks: Iterable[Look]) -> None:
    """Shows the latest look in place, until `looks` end or raise; what was above it stays."""
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as live:
        for url, body, why in looks:
            live.update(Text(why) if body is None else _view(url, body), refresh=True)


def status_line(url: str, body: dict[str, Any] | None, why: str) -> str:
    """What changes seldom, in one line: how the swarm is, and each of its workers."""
    if body is None:
        return why
    workers = ", ".join(_in_short(worker) for worker in body["workers"])
    return f"{body['model']} at {url}/v1: {_state(body)}; {workers}"


def duration(seconds: float) -> str:
    """`93784` -> `'1 d 2 h'`: the two largest units that count."""
    left = int(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((i for i, (_, size) in enumerate(units) if left >= size), len(units) - 1)
    parts = []
    for name, size in units[first : first + 2]:
        count, left = divmod(left, size)
        parts.append(f"{count} {name}")
    return " ".join(part for i, part in enumerate(parts) if i == 0 or not part.startswith("0 "))


def _view(url: str, body: dict[str, Any]) -> Group:
    queue = body["queue"]
    head = (
        f"{body['model']} at {url}/v1: {_state(body)}, up {duration(body['uptime_s'])}, "
        f"{body['voters']} voters, {queue['in_flight']} in flight, {queue['waiting']} waiting"
    )
    notes = [note for worker in body["workers"] for note in _notes(worker)]
    peers = [f"peer {peer}" for peer in body.get("peers", [])]
    return Group(Text(head), _table(body["workers"]), *map(Text, (*notes, *peers)))


def _table(workers: list[Worker]) -> Table:
    told = {name: [value(worker) for worker in workers] for name, value in COLUMNS}
    columns = {name: values for name, values in told.items() if set(values) != {None}}
    for name in ("", *FIRST_TO_GO):
        columns.pop(name, None)
        table = _table_of(columns)
        if _fits(table):
            break
    return table


def _fits(table: Table) -> bool:
    """Whether it is shown without breaking a cell."""
    where = console()
    unbounded = where.options.update(max_width=10_000)
    return where.measure(table, options=unbounded).maximum <= where.width


def _table_of(columns: Mapping[str, list[object]]) -> Table:
    table = new_table(*columns)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*cells(*row))
    return table


def _state(body: dict[str, Any]) -> str:
    if body.get("asleep"):
        return "asleep until the next request"
    return "ready" if body["ready"] else "not ready"


def _notes(worker: Worker) -> Iterator[str]:
    """What needs more words than a cell has."""
    if worker.get("reason") and worker["state"] != "ready":
        yield f"{worker['id']} is not ready: {worker['reason']}"
    if worker.get("reduced"):
        yield f"{worker['id']} runs smaller than planned: {worker['reduced']}"
    for drift in worker.get("drift", ()):
        more = drift["observed_bytes"] - drift["planned_bytes"]
        yield (
            f"{worker['id']} allocated {format_bytes(abs(more))} {'more' if more > 0 else 'less'} "
            f"than planned on {drift['device']} ({drift['kind']})"
        )


def _in_short(worker: Worker) -> str:
    text = f"{worker['id']} {worker['state']}"
    if worker["restarts"]:
        text += f", {worker['restarts']} restarts"
    return f"{text} ({'; '.join(notes)})" if (notes := list(_notes(worker))) else text

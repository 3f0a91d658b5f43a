"""A swarm that runs."""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from local_swarm.cli.render.terminal import cells, console, new_table, size_of


def status(url: str, body: dict[str, Any]) -> None:
    out = console()
    state = "ready" if body["ready"] else "not ready"
    queue = body["queue"]
    out.print(
        f"{escape(body['model'])} at {url}/v1: {state}, up {body['uptime_s']:.0f} s, "
        f"{body['voters']} voters, {queue['in_flight']} in flight, {queue['waiting']} waiting"
    )
    table = new_table(
        "worker", "engine", "state", "pid", "slots", "restarts", "requests", "ms", "tok/s",
        "planned", "observed",
    )  # fmt: skip
    for w in body["workers"]:
        table.add_row(
            *cells(
                w["id"],
                w["engine"],
                w["state"],
                w["pid"],
                f"{w['slots_busy']}/{w['slots']}",
                w["restarts"],
                w["requests"],
                w["latency_ms_avg"],
                w["tokens_per_s"],
                size_of(w["planned_bytes"]),
                size_of(w["observed_bytes"]),
            )
        )
    out.print(table)

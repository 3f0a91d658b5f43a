"""What voting gives."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from local_swarm.cli.render.terminal import cells, console, new_table


def evaluation(document: dict[str, Any]) -> None:
    """Of a model that was asked."""
    out = console()
    out.print(
        f"{escape(document['model'])}, {document['tasks']} held-out tasks, "
        f"{document['samples']} samples each, temperature {document['temperature']}"
    )
    served = document["served"]
    table = new_table("", "pass rate", "95% interval", "best possible pick")
    for row in [*document["rows"], served]:
        table.add_row(
            *cells(row["name"], _rate(row["rate"]), _range(row["low"], row["high"])),
            *cells(_rate(row.get("oracle"))),
        )
    out.print(table)
    gain = document["gain"]
    out.print(
        f"vote of 5 minus single: {gain['difference']:+.1%} "
        f"(95% interval {gain['low']:+.1%} to {gain['high']:+.1%})"
    )
    out.print(
        f"as served: {served['samples_used']:.1f} samples used and {served['samples_saved']:.1f} "
        f"saved, {served['completion_tokens']:.0f} tokens, {served['latency_ms_p50']} ms "
        f"(95% within {served['latency_ms_p95']} ms), each the mean or median of one request"
    )


def replay(document: dict[str, Any]) -> None:
    """Of answers that were graded before: a table for every strategy and number of voters."""
    out = console()
    rows = [*document["rows"], *document["means"]]
    for strategy, n in dict.fromkeys((row["strategy"], row["n"]) for row in rows):
        shown = [row for row in rows if (row["strategy"], row["n"]) == (strategy, n)]
        median, most = shown[-1]["ms_p50"], shown[-1]["ms_p95"]
        out.print(
            f"[bold]{strategy}, {n} voters[/bold] ({median:.1f} ms, 95% within {most:.1f} ms)"
        )
        out.print(_sources(shown))
    for row in document["rows"]:
        if row["failures"]:
            out.print(
                f"{row['failures']} votes by {row['strategy']} failed on {escape(row['source'])}."
            )
    for left in document["left_out"]:
        out.print(
            f"{left['problems']} problems of {escape(left['source'])} have too few samples for"
            f" {left['n']} voters and were left out."
        )


def _sources(rows: list[dict[str, Any]]) -> Table:
    table = new_table("source", "random", "vote", "gain", "best", "headroom")
    for row in rows:
        table.add_row(
            *cells(row.get("source", "mean"), _rate(row["random"]), _rate(row["voter"])),
            *cells(_points(row), _rate(row["oracle"]), _share(row)),
        )
    return table


def _rate(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _range(low: float, high: float) -> str:
    return f"{low:.1%} to {high:.1%}"


def _points(row: dict[str, Any]) -> str:
    low, high = row["gain_ci"]
    return f"{100 * (row['voter'] - row['random']):+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _share(row: dict[str, Any]) -> str | None:
    if row["headroom"] is None or row["headroom_ci"] is None:
        return None if row["headroom"] is None else f"{row['headroom']:.0%}"
    low, high = row["headroom_ci"]
    return f"{row['headroom']:.0%} [{100 * low:.0f}, {100 * high:.0f}]"

"""Models: all that are known, one of them, and whether files are sound."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.text import Text

from local_swarm.cli.render.terminal import cells, console, new_table, say, size_of


def models(rows: list[dict[str, Any]]) -> None:
    """The catalogue, and what of it is here (marked)."""
    table = new_table("", "name", "parameters", "context", "quality", "licence", "quantisations")
    for row in rows:
        here = {stored["reference"] for stored in row["pulled"]}
        quants = [
            f"{file['quant']} {size_of(file['planned_bytes'])}"
            + (" *" if f"hf:{file['repo']}:{file['files'][0]}" in here else "")
            for file in row["files"]
        ]
        table.add_row(
            *cells(
                "*" if row["pulled"] else "",
                row["name"],
                _count(row["parameters"], row["active_parameters"]),
                row["context"],
                row["quality"],
                row["licence"],
                ", ".join(quants) or size_of(row["pulled"][0]["size_bytes"]),
            )
        )
    console().print(table)
    say("* is downloaded; `lswarm models pull NAME:QUANT` downloads another.")


def model(document: dict[str, Any]) -> None:
    """Everything known of one model."""
    out = console()
    out.print(Text(document["name"], style="bold"))
    entry, facts = document["entry"], document["facts"]
    if entry:
        _pairs({k: v for k, v in entry.items() if k not in ("header", "scores", "header_source")})
        for score in entry.get("scores", ()):
            out.print(
                f"- {escape(score['benchmark'])}: {score['value']} ({escape(score['source'])})"
            )
        out.print("")
    for title, some in (("header", facts), ("on the hub", document.get("remote"))):
        if some:
            out.print(Text(title, style="bold"))
            _pairs(some)
            out.print("")
    table = new_table("file", "size", "repository")
    for choice in document["choices"]:
        size = size_of(choice["size_bytes"]) or f"about {size_of(choice['planned_bytes'])}"
        table.add_row(*cells(choice["name"], size, choice["repo"]))
    if document["choices"]:
        out.print(table)
    for stored in document["pulled"]:
        out.print(f"here: {escape(stored['path'])} ({size_of(stored['size_bytes'])})")


def verified(rows: list[dict[str, Any]]) -> None:
    table = new_table("model", "state", "what is wrong")
    for row in rows:
        unknown = "header fine, no checksum is known"
        state = ("sound" if row["checksum"] else unknown) if row["ok"] else "damaged"
        table.add_row(*cells(row["name"], state, "; ".join(row["problems"])))
    console().print(table)


def _pairs(document: dict[str, Any]) -> None:
    """What there is; nothing that is empty, zero or unknown."""
    table = new_table("what", "value")
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for part, some in inner:
            if some:
                name = f"{key} {part}".strip().replace("_", " ")
                table.add_row(*cells(name, _short_value(some)))
    console().print(table)


def _short_value(value: Any) -> str:
    text = str(value)
    if isinstance(value, (list, tuple)) and all(item == value[0] for item in value):
        text = f"{value[0]} (each of {len(value)})" if len(value) > 1 else str(value[0])
    return text if len(text) <= 200 else f"{text[:200]}..."


def _count(parameters: int | None, active: int | None) -> str | None:
    if parameters is None:
        return None
    shown = f"{parameters / 1e9:.1f}B"
    return f"{shown} ({active / 1e9:.1f}B active)" if active else shown

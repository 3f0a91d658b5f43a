"""What people see on a terminal. The only module that knows rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from local_swarm.config.show import Row, as_toml
from local_swarm.domain.memory import format_bytes

SHORT_LINES = 8
CODE_FENCE = "```"


def console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False)


def say(text: str) -> None:
    """Talk, not data."""
    console(stderr=True).print(escape(text))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _cells(*values: object) -> list[str]:
    return ["-" if value is None else escape(str(value)) for value in values]


def _size(size_bytes: int | None) -> str | None:
    return None if size_bytes is None else format_bytes(size_bytes)


def settings(rows: Iterable[Row], *, origin: bool) -> None:
    table = _table("setting", "value", *(["from"] if origin else []))
    for row in rows:
        table.add_row(*_cells(row.key, as_toml(row.value), *([row.origin] if origin else [])))
    console().print(table)


def hardware(host: dict[str, Any]) -> None:
    cpu, memory = host["cpu"], host["memory"]
    table = _table("what", "how much")
    table.add_row("system", escape(f"{host['os']} {host['arch']}"))
    table.add_row("cpu", *_cells(cpu["model"]))
    table.add_row("cores", f"{cpu['physical'] or '?'} physical, {cpu['logical']} logical")
    table.add_row("memory", *_cells(_size(memory["total_bytes"])))
    table.add_row("available", *_cells(_size(memory["available_bytes"])))
    table.add_row("container limit", *_cells(_size(memory["limit_bytes"])))
    for device in host["devices"]:
        what = f"{device['name']} ({device['backend']}), {_size(device['total_bytes'])}"
        table.add_row(escape(device["id"]), escape(what))
    if not host["devices"]:
        table.add_row("accelerators", "none found")
    console().print(table)


def plan(document: dict[str, Any]) -> None:
    out = console()
    workers = _table("worker", "devices", "slots", "ctx/slot", "threads", "memory")
    for worker in document["workers"]:
        size = sum(part["bytes"] for part in worker["parts"])
        workers.add_row(
            *_cells(
                worker["id"],
                ", ".join(worker["devices"]),
                worker["slots"],
                worker["ctx"],
                worker["threads"],
                _size(size),
            )
        )
    parts = _table("worker", "device", "what", "size")
    for worker in document["workers"]:
        for part in worker["parts"]:
            parts.add_row(*_cells(worker["id"], part["device"], part["kind"], _size(part["bytes"])))
    budget = _table("device", "total", "usable", "planned")
    for row in document["budget"]:
        sizes = (_size(row[f"{key}_bytes"]) for key in ("total", "usable", "planned"))
        budget.add_row(*_cells(row["device"], *sizes))
    out.print(Text(f"{document['model']}: {document['voters']} voters", style="bold"))
    for table in (workers, parts, budget):
        out.print(table, "")
    for reason in document["reasons"]:
        out.print(f"- {escape(reason)}")
    for rejected in document["rejected"]:
        out.print(f"- not {escape(rejected['model'])}: {escape(rejected['why'])}")


def status(url: str, body: dict[str, Any]) -> None:
    out = console()
    state = "ready" if body["ready"] else "not ready"
    queue = body["queue"]
    out.print(
        f"{escape(body['model'])} at {url}/v1: {state}, up {body['uptime_s']:.0f} s, "
        f"{body['voters']} voters, {queue['in_flight']} in flight, {queue['waiting']} waiting"
    )
    table = _table(
        "worker", "engine", "state", "pid", "slots", "restarts", "requests", "ms", "tok/s",
        "planned", "observed",
    )  # fmt: skip
    for w in body["workers"]:
        table.add_row(
            *_cells(
                w["id"],
                w["engine"],
                w["state"],
                w["pid"],
                f"{w['slots_busy']}/{w['slots']}",
                w["restarts"],
                w["requests"],
                w["latency_ms_avg"],
                w["tokens_per_s"],
                _size(w["planned_bytes"]),
                _size(w["observed_bytes"]),
            )
        )
    out.print(table)


def answer(question: str, body: dict[str, Any], grades: dict[str, str] | None) -> None:
    """One voted answer: question, every candidate in short, the vote, the answer.

    `grades` says how each text did in its unit tests, where there are any.
    """
    out = console()
    swarm = body["swarm"]
    out.print(Panel(Text(question), title="question", title_align="left"))
    candidates = swarm.get("candidates", [])
    table = Table(title=None, show_lines=True, header_style="bold")
    for column in ("#", "cluster", "answer", "tokens", "ms", *(["tests"] if grades else [])):
        table.add_column(column)
    for c in candidates:
        mark = "*" if c["index"] == swarm["winner"] else ""
        row: list[Any] = [
            f"{c['index'] + 1}{mark}",
            "-" if c["cluster"] is None else chr(ord("A") + c["cluster"] % 26),
            _short(c["text"] or _calls(c)),
            *_cells(c["completion_tokens"], c["elapsed_ms"]),
        ]
        if grades:
            row.append(_grade(grades.get(c["text"]) == "passed"))
        table.add_row(*row)
    out.print(table)
    message = body["choices"][0]["message"]
    text = message.get("content") or _calls({"tool_calls": message.get("tool_calls", [])})
    parts: list[Any] = [_shown(text)]
    if grades and text in grades:
        detail = grades[text]
        passed = detail == "passed"
        parts.append(Text.from_markup(f"\nunit tests: {_grade(passed)}"))
        if not passed:
            parts.append(Text(detail, style="dim"))
    out.print(Panel(Group(*parts), title="answer", title_align="left", border_style="green"))
    out.print(
        f"{swarm['answered']} of {swarm['voters']} voters answered, strategy {swarm['strategy']}, "
        f"agreement {swarm['agreement']:.0%}, {swarm['elapsed_ms']} ms"
    )
    for reason in swarm.get("reasons", []):
        out.print(f"- {escape(reason)}")


def _short(text: str) -> Any:
    body = "\n".join(line for line in text.splitlines() if not line.startswith(CODE_FENCE))
    lines = body.strip().splitlines()
    cut = [*lines[:SHORT_LINES], "..."] if len(lines) > SHORT_LINES else lines
    return Text("\n".join(cut))


def _shown(text: str) -> Any:
    if text.lstrip().startswith(CODE_FENCE + "python"):
        code = text.strip().removeprefix(CODE_FENCE + "python").removesuffix(CODE_FENCE)
        return Syntax(code.strip("\n"), "python", background_color="default")
    return Text(text)


def _calls(row: dict[str, Any]) -> str:
    return "\n".join(
        f"{c.get('name') or c['function']['name']}"
        f"({c.get('arguments') or c['function']['arguments']})"
        for c in row.get("tool_calls", [])
    )


def _grade(passed: bool) -> str:
    return "[green]passed[/green]" if passed else "[red]failed[/red]"


def evaluation(document: dict[str, Any]) -> None:
    out = console()
    table = _table("", "pass rate", "95% interval")
    for row in document["rows"]:
        interval = f"{row['low']:.1%} to {row['high']:.1%}"
        table.add_row(*_cells(row["name"], f"{row['rate']:.1%}", interval))
    out.print(
        f"{escape(document['model'])}, {document['tasks']} held-out tasks, "
        f"{document['samples']} samples each, temperature {document['temperature']}"
    )
    out.print(table)
    gain = document["gain"]
    out.print(
        f"vote of 5 minus single: {gain['difference']:+.1%} "
        f"(95% interval {gain['low']:+.1%} to {gain['high']:+.1%})"
    )


def models(rows: list[dict[str, Any]]) -> None:
    """The catalogue, and what of it is here (marked)."""
    table = _table("", "name", "parameters", "context", "quality", "licence", "quantisations")
    for row in rows:
        here = {stored["reference"] for stored in row["pulled"]}
        quants = [
            f"{file['quant']} {_size(file['planned_bytes'])}"
            + (" *" if f"hf:{file['repo']}:{file['files'][0]}" in here else "")
            for file in row["files"]
        ]
        table.add_row(
            *_cells(
                "*" if row["pulled"] else "",
                row["name"],
                _count(row["parameters"], row["active_parameters"]),
                row["context"],
                row["quality"],
                row["licence"],
                ", ".join(quants) or _size(row["pulled"][0]["size_bytes"]),
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
    table = _table("file", "size", "repository")
    for choice in document["choices"]:
        size = _size(choice["size_bytes"]) or f"about {_size(choice['planned_bytes'])}"
        table.add_row(*_cells(choice["name"], size, choice["repo"]))
    if document["choices"]:
        out.print(table)
    for stored in document["pulled"]:
        out.print(f"here: {escape(stored['path'])} ({_size(stored['size_bytes'])})")


def verified(rows: list[dict[str, Any]]) -> None:
    table = _table("model", "state", "what is wrong")
    for row in rows:
        unknown = "header fine, no checksum is known"
        state = ("sound" if row["checksum"] else unknown) if row["ok"] else "damaged"
        table.add_row(*_cells(row["name"], state, "; ".join(row["problems"])))
    console().print(table)


def _pairs(document: dict[str, Any]) -> None:
    """What there is; nothing that is empty, zero or unknown."""
    table = _table("what", "value")
    for key, value in document.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for part, some in inner:
            if some:
                name = f"{key} {part}".strip().replace("_", " ")
                table.add_row(*_cells(name, _short_value(some)))
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


def estimate(document: dict[str, Any], notes: Iterable[str]) -> None:
    """One row per combination; `notes` say which figures are bounds."""
    out = console()
    model = document["model"]
    out.print(
        f"{escape(model['name'] or model['arch'])} ({escape(model['arch'])}, {model['layers']}"
        f" layers, {_size(model['size_bytes'])}, trained on {model['context_train']} tokens)"
    )
    table = _table("ctx", "slots", "cache", "cells", "context", "weights", "compute", "total")
    for row in document["rows"]:
        window, bound = row["cells_swa"], row["compute_method"] == "bound"
        table.add_row(
            *_cells(
                row["ctx"],
                f"{row['slots']}{' unified' if row['kv_unified'] else ''}",
                _cache_type(row["cache_type_k"], row["cache_type_v"]),
                f"{row['cells']}{f' + {window}' if window else ''}",
                _size(row["context_bytes"]),
                _size(row["weights_bytes"]),
                f"{'<= ' if bound else ''}{_size(row['compute_bytes'])}",
                _size(row["total_bytes"]),
            )
        )
    out.print(table)
    for note in notes:
        out.print(f"- {escape(note)}")


def _cache_type(key: str, value: str) -> str:
    return key if key == value else f"{key}:{value}"

"""Votes."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from local_swarm.cli.render.terminal import cells, console

SHORT_LINES = 8
CODE_FENCE = "```"


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
            *cells(c["completion_tokens"], c["elapsed_ms"]),
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
        from rich.syntax import Syntax  # which loads all of pygments

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

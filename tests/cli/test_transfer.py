"""How far a download is, on a terminal and in a log."""

from __future__ import annotations

import io

from rich.console import Console

from local_swarm.cli.render import terminal as made
from local_swarm.cli.transfer import transfer


def shown(monkeypatch, *, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    monkeypatch.setattr(made, "Console", lambda **_: console)
    with transfer("fine [coder]") as report:
        for done in range(101):
            report(done * 10**6, 100 * 10**6)
    return out.getvalue()


def test_a_log_gets_a_line_per_tenth(monkeypatch):
    lines = shown(monkeypatch, terminal=False).splitlines()
    assert len(lines) == 11
    assert lines[0] == "fine [coder]: 0% of 95.4 MiB"
    assert lines[-1] == "fine [coder]: 100% of 95.4 MiB"


def test_a_terminal_gets_a_bar(monkeypatch):
    text = shown(monkeypatch, terminal=True)
    assert "fine [coder]" in text
    assert "95.4/95.4 MiB" in text


def test_nothing_to_do_is_no_division_by_zero(monkeypatch):
    out = io.StringIO()
    console = Console(file=out, force_terminal=False, width=100)
    monkeypatch.setattr(made, "Console", lambda **_: console)
    with transfer("empty") as report:
        report(0, 0)
    assert out.getvalue() == "empty: 100% of 0 B\n"

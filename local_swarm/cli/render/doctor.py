"""What the doctor found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from local_swarm.cli.render.terminal import console, new_table, say
from local_swarm.swarm.doctor import Finding, Level

STYLES = {Level.OK: "green", Level.NOTE: "cyan", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def findings(found: Sequence[Finding]) -> None:
    table = new_table("", "check", "what, and what to do about it")
    table.columns[1].no_wrap = True
    for finding in found:
        style = STYLES[finding.level]
        text = Text(finding.what)
        if finding.cure and finding.level is not Level.OK:
            text.append(f"\n-> {finding.cure}", style="dim")
        table.add_row(Text(finding.level.value, style=style), finding.check, text)
    console().print(table)
    counts = Counter(finding.level for finding in found)
    told = [_count(counts[level], level.value) for level in Level if level is not Level.OK]
    console().print(f"{', '.join(told)}.")


def collecting() -> None:
    say("Collecting what a bug report needs; this takes a few seconds.")


def bundled(path: Path, names: Sequence[str]) -> None:
    """What was written, and that it is for the user to look at first."""
    say(f"{path} holds:")
    for name in names:
        say(f"  {name}")
    say(
        "Prompts, answers, keys, your name and your home directory were taken out as far as they"
        " are known. Look at it before you send it to anybody."
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

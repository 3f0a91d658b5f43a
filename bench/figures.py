"""Quantiles, tables and what ends up in the JSON file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

Value = float | int | str | None
Row = dict[str, Value]


@dataclass(frozen=True)
class Report:
    """One table; `notes` say what it was taken with, and the ratios worth reading."""

    title: str
    rows: Sequence[Row]
    notes: Mapping[str, Value] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return {"title": self.title, "rows": list(self.rows), "notes": dict(self.notes)}


def show(report: Report, console: Console) -> None:
    table = Table(title=report.title, title_justify="left", title_style="bold")
    columns = list(dict.fromkeys(name for row in report.rows for name in row))
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for row in report.rows:
        table.add_row(*(_text(row.get(name)) for name in columns))
    console.print()
    console.print(table)
    for name, value in report.notes.items():
        console.print(f"  {name}: {_text(value)}", highlight=False)


def _text(value: Value) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else value


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that so many of them are not above; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def ratio(a: float, b: float) -> float | None:
    return round(a / b, 3) if b else None


def ms(seconds: float) -> float:
    return round(1000 * seconds, 3)

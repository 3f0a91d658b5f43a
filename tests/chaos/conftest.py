"""What the chaos tests share: homes that leave nothing behind, and figures for the summary.

`LSWARM_SOAK=1` (`make soak`) makes every test long; without it they take seconds each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.chaos.supervisors import Home

T = TypeVar("T")
SOAK = os.environ.get("LSWARM_SOAK") == "1"
FIGURES: list[tuple[str, dict[str, Any]]] = []

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # what they look at is in /proc


class Long:
    """`long(short, soak)`: the one that this run is."""

    def __call__(self, short: T, soak: T) -> T:
        return soak if SOAK else short


@pytest.fixture(scope="session")
def long() -> Long:
    return Long()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Put what was measured here: the summary at the end of the run shows it."""
    measured: dict[str, Any] = {}
    FIGURES.append((request.node.name, measured))
    return measured


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    yield from _home(tmp_path / "a")


@pytest.fixture
def other_home(tmp_path: Path) -> Iterator[Home]:
    yield from _home(tmp_path / "b")


def _home(path: Path) -> Iterator[Home]:
    home = Home(path)
    yield home
    home.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    measured = [(name, figures) for name, figures in FIGURES if figures]
    if not measured:
        return
    terminalreporter.section("what was measured")
    for name, figures in measured:
        terminalreporter.write_line(name)
        for key, value in figures.items():
            terminalreporter.write_line(f"    {key:<34} {value}")

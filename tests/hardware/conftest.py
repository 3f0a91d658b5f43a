"""Recorded outputs instead of tools, and trees of files instead of /sys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local_swarm.hardware import Roots

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], str]:
    """The recorded output of that name, `vendor/file.txt`."""
    return lambda name: (FIXTURES / name).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def tools(recorded) -> Callable[..., Callable[[object], str]]:
    """A runner that answers the command lines it is given with the outputs recorded for them, and
    anything else like a tool that is not installed."""

    def make(outputs: Mapping[tuple[str, ...], str]):
        return lambda argv: recorded(outputs[tuple(argv)]) if tuple(argv) in outputs else ""

    return make


@pytest.fixture
def machine(tmp_path) -> Callable[[Mapping[str, object]], Roots]:
    """Writes files and gives the roots above them; nothing of this machine shows through."""

    def write(files: Mapping[str, object] | None = None) -> Roots:
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n", encoding="utf-8")
        names = {"proc": "proc", "cgroup": "cgroup", "sys": "sys", "share": "share"}
        return Roots(**{k: tmp_path / v for k, v in names.items()}, android=tmp_path / "system")

    return write

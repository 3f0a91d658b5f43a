"""The layers of DESIGN hold: the import-linter contracts of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_imports_only_go_down() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_room_says_what_it_does() -> None:
    for package in (ROOT / "local_swarm").rglob("__init__.py"):
        first = package.read_text().lstrip()[:3]
        assert first == '"""', f"{package.relative_to(ROOT)} has no docstring"

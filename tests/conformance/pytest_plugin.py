"""A pytest plugin for the suite's own run: nothing is downloaded, and only some tests are run."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

ONLY = "CONFORMANCE_ONLY"
"""Names the file that lists the tests to run, one a line as results.py names them; "" for all."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The suite starts every model once, so that it is there; ours are files."""
    importlib.import_module("utils").ServerPreset.load_all = staticmethod(lambda: None)
    listed = os.environ.get(ONLY)
    if not listed:
        return
    wanted = set(Path(listed).read_text().splitlines())
    left = [item for item in items if f"{item.path.stem}::{item.name}" not in wanted]
    items[:] = [item for item in items if item not in left]
    config.hook.pytest_deselected(items=left)

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Limits, Sandbox
from local_swarm.sandbox.ways import Way
from tests.sandbox.boxes import WAYS, Outside, outside

LACKING = "is not installed|there is none for|ermitted|ermission|No space left"
"""Of a machine that has no bubblewrap, or forbids namespaces to this user."""

QUICK = Limits(
    load_s=0.1, expression_s=0.15, job_s=0.4, run_wall_s=60, memory_bytes=128 * 1024 * 1024
)
"""Of CPU time, which is the same on a busy machine: most attacks are ended by it."""

UNHURRIED = Limits(job_wall_s=30, run_wall_s=60)
"""CPU time alone decides, however busy the machine is."""


def begun(way: Way, workers: int = 2, limits: Limits | None = None) -> Sandbox:
    """Skips the test, with the reason, where this machine cannot have it; a sandbox that the
    machine can have and that does not begin is a failure."""
    try:
        return Sandbox(limits, workers, ways=(way,))
    except SandboxUnavailable as exc:
        if re.search(LACKING, exc.message) is None:
            raise
        pytest.skip(exc.message)


@pytest.fixture(params=WAYS, ids=lambda way: way.name, scope="session")
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="session")
def box(way: Way) -> Iterator[Sandbox]:
    with begun(way, limits=QUICK) as sandbox:
        yield sandbox


@pytest.fixture
def beside(box: Sandbox, tmp_path: Path) -> Iterator[Outside]:
    with outside(tmp_path) as made:
        yield made

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Limits, Sandbox
from local_swarm.sandbox.ways import Way
from tests.sandbox.boxes import WAYS, Outside, outside

UNHURRIED = Limits(job_wall_s=30, run_wall_s=60)
"""CPU time alone decides, however busy the machine is."""


def begun(way: Way, workers: int = 2, limits: Limits | None = None) -> Sandbox:
    """Skips the test, with the reason, where this machine cannot have it."""
    try:
        return Sandbox(limits, workers, ways=(way,))
    except SandboxUnavailable as exc:
        pytest.skip(exc.message)


@pytest.fixture(params=WAYS, ids=lambda way: way.name, scope="session")
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="session")
def box(way: Way) -> Iterator[Sandbox]:
    with begun(way, limits=Limits(run_wall_s=60)) as sandbox:
        yield sandbox


@pytest.fixture
def beside(box: Sandbox, tmp_path: Path) -> Iterator[Outside]:
    with outside(tmp_path) as made:
        yield made

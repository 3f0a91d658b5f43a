"""What looks after the workers takes other settings, and does nothing while they are changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.config import Config, Supervisor, Swarm
from local_swarm.supervisor.memory import Policy
from local_swarm.supervisor.progress import Limits
from local_swarm.swarm.compose import Watches
from tests.swarm.test_jobs import prepared


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))


def test_nobody_starts_or_stops_workers_while_they_are_changed() -> None:
    watches, busy = Watches.of(prepared()), [True]
    watches.hold_while(lambda: busy[0])
    assert watches.idling.held()
    assert watches.memory.held()
    busy[0] = False
    assert not watches.idling.held()
    assert not watches.memory.held()


def test_they_take_other_settings() -> None:
    made = prepared()
    watches = Watches.of(made)
    assert watches.memory.policy is not None
    supervisor = Supervisor(hang_timeout_s=3.0, stall_timeout_s=4.0, min_free_bytes=5, relief_s=6.0)
    config = Config(supervisor=supervisor, swarm=Swarm(idle_unload_s=7.0, min_workers=2))
    watches.take(replace(made, config=config))
    assert watches.hangs.limits == Limits(hang_timeout_s=3.0, stall_timeout_s=4.0)
    assert watches.memory.policy == Policy(min_free_bytes=5, relief_s=6.0)
    assert watches.idling.settings.idle_unload_s == 7.0
    assert watches.idling.settings.min_workers == 2

"""The end of a swarm whose workers do not want to end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from local_swarm.config import Config, Server, Supervisor, Swarm
from local_swarm.config.paths import user_paths
from local_swarm.swarm.lifecycle import Running, serve
from local_swarm.swarm.planning import prepare

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here"),
]
PATIENCE_S = 30.0
CONFIG = Config(
    server=Server(port=0),
    swarm=Swarm(ctx=512, slots=2, threads=1, workers=1, stop_timeout_s=1.0),
    supervisor=Supervisor(term_grace_s=1000.0),
)


async def test_what_has_not_ended_when_the_time_is_over_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    prepared = await asyncio.to_thread(prepare, CONFIG, model="builtin:demo")
    pids: list[int] = []

    def stop(swarm: Running) -> None:
        (keeper,) = swarm.fleet.keepers.values()
        assert keeper.child is not None
        pids.append(keeper.child.pid)
        os.kill(keeper.child.pid, signal.SIGSTOP)  # it heeds no SIGTERM now
        os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(serve(prepared, user_paths(), stop), PATIENCE_S)
    assert not psutil.pid_exists(pids[0])

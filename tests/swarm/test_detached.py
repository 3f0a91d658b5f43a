"""The one who waits for a swarm without a terminal."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from local_swarm.swarm import detached

INTERRUPTS = """
import os, pathlib, signal, sys
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
os.kill(os.getppid(), signal.SIGINT)
while True:
    signal.pause()
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to one process")
def test_ctrl_c_ends_a_swarm_that_is_not_ready_too(tmp_path: Path) -> None:
    logs, pid = tmp_path / "logs", tmp_path / "pid"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        detached.start([sys.executable, "-c", INTERRUPTS, str(pid)], logs)
    assert not psutil.pid_exists(int(pid.read_text()))
    assert list(logs.iterdir()) == []

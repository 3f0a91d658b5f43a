"""`lswarm hardware`, as people see it."""

from __future__ import annotations

import os
import stat

import pytest
from click.testing import CliRunner

from local_swarm.cli.group import lswarm
from local_swarm.engines.llama_server import NEEDED

CANNOT_BE_PINNED = "  HTP0: Hexagon (2048 MiB, 2048 MiB free)"


@pytest.mark.skipif(os.name != "posix", reason="the engine is a shell script")
def test_devices_that_no_worker_can_be_given_are_not_none_found(tmp_path):
    engine = tmp_path / "llama-server"
    engine.write_text(
        "#!/bin/sh\n"
        f"if [ $1 = --list-devices ]; then printf 'Available devices:\\n{CANNOT_BE_PINNED}\\n'\n"
        f"else echo 'version: 1234 (abc)'; echo '{' '.join(NEEDED)}'; fi\n"
    )
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "lswarm.toml").write_text(f'[engine]\npath = "{engine}"\n')
    done = CliRunner().invoke(lswarm, ["hardware", "--config", str(tmp_path / "lswarm.toml")])
    assert done.exit_code == 0, done.output
    assert "none that the engine can use" in done.stdout
    assert "Hexagon is left out" in done.stderr

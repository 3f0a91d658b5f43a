"""opencode and the Python clients with the real engine and the builtin model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.opencode import Opencode
from tests.clients.running import Program, python_program
from tests.e2e.conftest import Lswarm, Up

pytestmark = [pytest.mark.engine, pytest.mark.slow]
PATIENCE_S = 480.0  # half a minute on two idle cores, but it computes all the time
CTX = "24576"  # the builtin model's tokenizer makes about 16,100 tokens of opencode's prompt


def test_opencode_finishes_a_turn(up: Callable[..., Up], lswarm: Lswarm, tmp_path: Path) -> None:
    opencode = Opencode.within(tmp_path)
    swarm = up("--ctx", CTX, "--voters", "2")
    assert lswarm("opencode", "--write").returncode == 0
    (lswarm.home / "opencode.json").rename(opencode.folder / "opencode.json")
    question = "Write a Python function double(x) that doubles x."
    turn = asyncio.run(opencode.run(question, patience_s=PATIENCE_S))
    assert turn.exit_code == 0, turn.errors
    assert turn.text
    assert len(turn.finished) == 1  # it was not compacted, and not asked again
    assert lswarm.json("status")["queue"] == {"waiting": 0, "in_flight": 0}
    assert swarm.terminate() == 0


def test_anthropic_python_is_answered(up: Callable[..., Up]) -> None:
    command = python_program("anthropic_sdk.py", "anthropic")
    swarm = up("--ctx", "4096")

    async def run() -> dict[str, Any]:
        return await (await Program.start(*command, f"{swarm.url}/v1")).facts()

    seen = asyncio.run(run())
    assert seen["plain"]["stop_reason"] in ("end_turn", "max_tokens")
    assert seen["plain"]["content"][0]["text"]
    assert seen["streamed"]["message"]["content"][0]["text"]
    assert seen["cut_off"] == "max_tokens"
    assert seen["too_long"]["status"] == 400
    assert swarm.terminate() == 0

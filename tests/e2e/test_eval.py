"""`lswarm eval --live` on the real engine and the builtin model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Lswarm

pytestmark = pytest.mark.engine


def test_the_builtin_model_is_measured_and_kept_as_a_skill(lswarm: Lswarm) -> None:
    found = lswarm.json("eval", "--live", "--tasks", "3", "--keep")
    assert (found["tasks"], found["samples"], found["model"]) == (3, 8, "local-swarm-demo")
    assert [row["name"] for row in found["rows"]] == [
        "single sample", "vote of 3", "vote of 5", "vote of 8", "chosen by the swarm",
    ]  # fmt: skip
    for row in found["rows"][1:]:
        assert 0 <= row["low"] <= row["rate"] <= row["high"] <= 1
        assert 0 <= row["oracle"] <= 1
    assert found["rows"][-1]["rate"] <= found["rows"][-1]["oracle"]
    served = found["served"]
    assert 1 <= served["samples_used"] + served["samples_saved"] <= 8
    assert 0 < served["latency_ms_p50"] <= served["latency_ms_p95"]
    assert served["completion_tokens"] > 0
    (kept,) = Path(lswarm.home, "state").glob("skills.json")
    skill = json.loads(kept.read_text())["models"]["local-swarm-demo"]
    assert skill["tests"] == 24
    assert skill["passed"] == round(found["rows"][0]["rate"] * 24)

"""What the planner chooses for the machines of conf/hosts, and docs/plans.md, which says it."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local_swarm.budget.case import LEAST_CTX, PHONE_CTX
from local_swarm.budget.limits import usable_cores
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.engines.llama_server import LlamaServer
from local_swarm.engines.xllamacpp import Xllamacpp
from local_swarm.hardware import load

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "bin" / "sample_plans.py"
HOSTS = sorted((ROOT / "conf" / "hosts").glob("*.json"))
A_SIZE = re.compile(r"\d+(\.\d)? ([KMGT]iB|B)\b")
TOO_SLOW = "too slow for a phone"
LEAST_USED = 0.8

spec = importlib.util.spec_from_file_location("sample_plans", PROGRAM)
sample_plans = importlib.util.module_from_spec(spec)
sys.modules["sample_plans"] = sample_plans  # where dataclasses look their module up
spec.loader.exec_module(sample_plans)


def planned(path):
    (sample,) = sample_plans.samples([path])
    return sample.plan


@pytest.fixture(scope="module", params=HOSTS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture(scope="module")
def plan(path):
    return planned(path)


def test_no_device_is_given_more_than_may_be_used(plan):
    assert all(row.planned_bytes <= row.usable_bytes <= row.total_bytes for row in plan.budget)
    assert all(part.bytes > 0 for worker in plan.workers for part in worker.parts)
    known = {row.device for row in plan.budget}
    assert {part.device for worker in plan.workers for part in worker.parts} <= known


def test_what_is_planned_is_the_sum_of_its_parts(path, plan):
    integrated = {device.id for device in load(path).devices if device.integrated}
    for row in plan.budget:
        theirs = {row.device} | (integrated if row.device == CPU_DEVICE else set())
        parts = [part.bytes for w in plan.workers for part in w.parts if part.device in theirs]
        assert row.planned_bytes == sum(parts)


def test_threads_are_no_more_than_cores(path, plan):
    assert all(worker.threads >= 1 for worker in plan.workers)
    assert sum(worker.threads for worker in plan.workers) <= usable_cores(load(path).cpu)


def test_there_are_slots_for_all_voters_of_a_useful_length(path, plan):
    assert 2 <= plan.voters <= sum(worker.slots - worker.lanes for worker in plan.workers)
    least = PHONE_CTX if load(path).os == "android" else LEAST_CTX
    assert all(worker.ctx >= least for worker in plan.workers)


def test_the_same_file_has_the_same_plan_in_whichever_order_its_keys_are(path, plan, tmp_path):
    assert planned(path) == plan
    for seed in range(3):
        other = tmp_path / f"{seed}.json"
        shuffled = _shuffled(json.loads(path.read_text(encoding="utf-8")), random.Random(seed))
        other.write_text(json.dumps(shuffled), encoding="utf-8")
        assert planned(other) == plan


def _shuffled(value, chance):
    if isinstance(value, list):
        return [_shuffled(item, chance) for item in value]
    if not isinstance(value, dict):
        return value
    keys = chance.sample(list(value), len(value))
    return {key: _shuffled(value[key], chance) for key in keys}


@pytest.mark.parametrize("engine", [Xllamacpp(), LlamaServer(sys.executable)], ids=lambda e: e.name)
def test_every_worker_can_be_started(plan, engine):
    for worker in plan.workers:
        start = engine.launch(worker, host="127.0.0.1", port=9000, api_key="key")
        words = list(start.argv)
        assert words[words.index("-c") + 1] == str(worker.cells)
        assert words[words.index("-ngl") + 1] == str(worker.gpu_layers)
        assert ("-ts" in words) == (len(worker.devices) > 1)


def test_memory_that_is_not_used_is_explained(plan):
    used = {device for worker in plan.workers for device in worker.devices}
    for row in plan.budget:
        if row.device in used and row.planned_bytes <= LEAST_USED * row.usable_bytes:
            assert any("stays free" in reason for reason in plan.reasons), row
        elif row.device not in used | {CPU_DEVICE}:
            assert any(f"{row.device} is not used" in reason for reason in plan.reasons), row


def test_a_rejected_model_says_what_it_lacked(plan):
    for rejection in plan.rejected:
        assert A_SIZE.search(rejection.why) or TOO_SLOW in rejection.why, rejection


def test_the_document_is_current_whatever_this_machine_has(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    text = (ROOT / "conf" / "models.toml").read_text(encoding="utf-8")
    own = text.replace('family = "gpt-oss"', 'family = "mine"').replace(
        "quality = 9", "quality = 1"
    )
    (config / "models.toml").write_text(own, encoding="utf-8")
    done = check(LSWARM_HOME=str(tmp_path), LSWARM_SWARM__VOTERS="2", PATH="")
    assert done.returncode == 0, done.stderr


def test_a_document_that_is_not_current_is_told(tmp_path):
    old = tmp_path / "plans.md"
    assert check("--file", str(old)).returncode == 1
    old.write_text(sample_plans.DOCUMENT.read_text(encoding="utf-8").replace("f16", "q8_0"))
    done = check("--file", str(old))
    assert done.returncode == 1
    assert done.stderr == "plans.md is not current: run bin/sample_plans.py.\n"
    assert "q8_0" in old.read_text(encoding="utf-8")


def check(*args, **env):
    return subprocess.run(
        [sys.executable, str(PROGRAM), "--check", *args],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
        timeout=120,
    )


def test_the_document_speaks_of_every_machine_and_of_no_path():
    text = sample_plans.DOCUMENT.read_text(encoding="utf-8")
    assert all(f"\n## {path.stem}\n" in text for path in HOSTS)
    assert not re.search(r"/(tmp|home|work|root|Users)/", text)

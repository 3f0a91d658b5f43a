"""A machine with too little memory for a context per slot: the slots share a pool, and no answer is
lost in it. With the real engine."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import PATIENCE_S, Lswarm, Up

pytestmark = [pytest.mark.engine, pytest.mark.slow]
CTX = "1024"


PROMPT = "a b c d e " * 20


def ends(swarm: Up, body: dict[str, Any]) -> list[str]:
    """How the choices of a plain request ended: of /completion where it has a prompt."""
    path = "/completion" if "prompt" in body else "/v1/chat/completions"
    asked = {"messages": [{"role": "user", "content": PROMPT}], "ignore_eos": True, **body}
    request = urllib.request.Request(
        swarm.url + path, json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        answer = json.loads(response.read())
    if path == "/completion":
        return [one["stop_type"] for one in (answer if isinstance(answer, list) else [answer])]
    return [choice["finish_reason"] for choice in answer["choices"]]


def less_than(plan: dict[str, Any]) -> str:
    """The share of RAM that is one byte too little for this plan."""
    (cpu,) = plan["budget"]
    return repr((cpu["planned_bytes"] - 1) / cpu["total_bytes"])


def test_slots_share_a_pool_where_memory_is_short_and_every_answer_ends_well(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    demo = ("--model", "builtin:demo", "--ctx", CTX)
    short = {"LSWARM_HARDWARE__RAM_FRACTION": less_than(lswarm.json("plan", *demo))}
    done = lswarm("plan", *demo, "--json", **short)
    plan = json.loads(done.stdout)
    (worker,) = plan["workers"]
    assert "-kvu" in worker["argv"]
    pool = int(worker["argv"][worker["argv"].index("-c") + 1])
    assert 1024 + 3 * 256 <= pool < 4 * 1024
    assert (plan["voters"], worker["slots"], worker["ctx"]) == (3, 4, 1024)
    assert any(f"share {pool} tokens" in reason for reason in plan["reasons"])

    swarm = up("--ctx", CTX, **short)
    many = {"model": swarm.model, "n": 3, "max_tokens": 900}  # 3 * 900 and a prompt are too much
    one = {"model": f"{swarm.model}:solo", "max_tokens": 700}
    passed = {"prompt": PROMPT, "n": 3, "n_predict": -1}
    with ThreadPoolExecutor() as threads:
        asked = [threads.submit(ends, swarm, body) for body in (many, one, passed, many, one)]
        ended = [each.result() for each in asked]
    assert ended == [["length"] * 3, ["length"], ["limit"] * 3, ["length"] * 3, ["length"]]
    (shown,) = lswarm.json("status", "--port", swarm.port)["workers"]
    assert shown["restarts"] == 0
    assert not shown.get("drift")
    logs = lswarm("logs", "--port", swarm.port).stdout
    # The engine says so too when it makes room by dropping an idle slot's prompt, which it may.
    assert logs.count("failed to find free space") == logs.count("purging slot")
    assert "Context size has been exceeded" not in logs

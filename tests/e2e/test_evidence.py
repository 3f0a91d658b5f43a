"""Votes of a real swarm that find out more than the answers say."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_swarm import sandbox
from local_swarm.consensus.execution import written
from tests.e2e.conftest import PATIENCE_S, Up
from tests.engines.small_models import encoder
from tests.models.gguf_files import with_noise

pytestmark = pytest.mark.engine
PROMPT = "Write a function `total(values)` that adds up the values of a list."
SIMILARITY = {"swarm": {"strategy": "similarity"}}


def chat(up: Up, text: str = PROMPT, /, **body: Any) -> Any:
    body = {"messages": [{"role": "user", "content": text}], **body}
    headers = {"Content-Type": "application/json"}
    url = f"{up.url}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def how(body: Any) -> str:
    return " ".join(body["swarm"]["reasons"])


def test_voters_tell_how_sure_they_are_and_clients_do_not_see_it(up: Callable[..., Up]) -> None:
    body = chat(up(), swarm={"include_candidates": True})
    for candidate in body["swarm"]["candidates"]:
        assert candidate["lowest_logprob"] <= candidate["mean_logprob"] <= 0
    assert "logprobs" not in body["choices"][0]


def test_a_swarm_without_log_probabilities_has_none(up: Callable[..., Up]) -> None:
    swarm = up(LSWARM_CONSENSUS__LOGPROBS="off")
    body = chat(swarm, swarm={"include_candidates": True})
    assert not any("mean_logprob" in candidate for candidate in body["swarm"]["candidates"])


def test_answers_are_compared_by_the_swarms_own_vectors(up: Callable[..., Up]) -> None:
    body = chat(up("--", "--embeddings", "--pooling", "mean"), **SIMILARITY)
    assert "alike by their embeddings" in how(body)


def test_answers_are_compared_by_another_models_vectors(
    up: Callable[..., Up], tmp_path: Path
) -> None:
    model = tmp_path / "made-for-it.gguf"
    model.write_bytes(with_noise(encoder()))
    vectors = up("--model", str(model))
    swarm = up(
        LSWARM_CONSENSUS__EMBEDDINGS_URL=f"{vectors.url}/v1",
        LSWARM_CONSENSUS__EMBEDDINGS_MODEL=vectors.model,
    )
    assert "alike by their embeddings" in how(chat(swarm, max_tokens=16, **SIMILARITY))
    assert vectors.terminate() == 0
    assert "alike by their letters" in how(chat(swarm, max_tokens=16, **SIMILARITY))


def test_judges_say_a_letter(up: Callable[..., Up]) -> None:
    swarm = up("--voters", "4")
    bodies = [
        chat(swarm, "Write something.", temperature=2, max_tokens=24, swarm={"strategy": "judge"})
        for _ in range(5)
    ]
    judged = [body["swarm"] for body in bodies if "judges" in body["swarm"]]
    assert judged
    assert all(facts["judges"] == 4 for facts in judged)
    assert all("4 judges chose this one" in " ".join(facts["reasons"]) for facts in judged)


def test_a_vote_grows_in_the_slot_that_has_the_prompt(up: Callable[..., Up]) -> None:
    swarm = up("--voters", "5")
    adaptive = {"adaptive": True}
    facts = [chat(swarm, temperature=2, swarm=adaptive)["swarm"] for _ in range(3)]
    assert {body["voters"] for body in facts} <= {3, 5}
    facts = [chat(swarm, temperature=0.01, swarm=adaptive)["swarm"] for _ in range(3)]
    assert any(body.get("early") == {"why": "settled", "saved": 2} for body in facts)


def test_answers_are_run_where_that_is_allowed(up: Callable[..., Up]) -> None:
    if (why := sandbox.unavailable()) is not None:
        pytest.skip(f"no safe sandbox here: {why}")
    swarm = up(LSWARM_CONSENSUS__EXECUTE="true")
    asked = (
        "Write a Python function `get_items(values)` that keeps the even values, then returns the"
        " sum of their squares, or None if there is none."
    )
    bodies = [
        chat(swarm, asked, temperature=1.5, swarm={"strategy": "execution"}) for _ in range(5)
    ]
    assert {body["swarm"]["strategy"] for body in bodies} == {"execution"}
    said = [how(body) for body in bodies]
    assert any("programs do the same on" in words for words in said), said
    assert swarm.terminate() == 0


def test_a_worker_writes_calls_in_the_form_that_is_asked_for(up: Callable[..., Up]) -> None:
    """What they are worth is another matter: the builtin model knows nothing of calls."""
    question = written.question("def get_items(values):\n    ...\n")
    assert question is not None
    schema = {"name": "calls", "schema": written.SCHEMA}
    form = {"type": "json_schema", "json_schema": schema}
    body = chat(
        up(), question, model="swarm:solo", temperature=0, max_tokens=1024, response_format=form
    )
    assert written.calls_in(body["choices"][0]["message"]["content"])

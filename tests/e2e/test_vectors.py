"""Embeddings and ranks of a real swarm: of models made for them, and of one that answers."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import PATIENCE_S, Lswarm, Up
from tests.engines.small_models import ENCODED, encoder
from tests.models.gguf_files import with_noise

pytestmark = pytest.mark.engine
EMBEDDINGS, CHAT = "/v1/embeddings", "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "def add"}]


def call(swarm: Up, path: str, body: Any) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(swarm.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def vectors(swarm: Up, *texts: str) -> list[list[float]]:
    status, answer = call(swarm, EMBEDDINGS, {"model": swarm.model, "input": list(texts)})
    assert status == 200, answer
    return [each["embedding"] for each in answer["data"]]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def status_of(lswarm: Lswarm, swarm: Up) -> Any:
    return lswarm.json("status", "--port", swarm.port)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., str]:
    def write(**changes: Any) -> str:
        path = tmp_path / "made-for-it.gguf"
        path.write_bytes(with_noise(encoder(**changes)))
        return str(path)

    return write


def test_an_embedding_model_makes_vectors_and_says_what_it_is_for(
    up: Callable[..., Up], lswarm: Lswarm, model: Callable[..., str]
) -> None:
    swarm = up("--model", model())
    (one,), (again,), (other,) = (vectors(swarm, text) for text in ("a b", "a b", "x y z"))
    assert one == again
    assert likeness(one, one) == pytest.approx(1, abs=1e-5)
    assert likeness(one, other) < 0.9999
    assert all(math.isfinite(value) for value in one)
    both = vectors(swarm, "a b", "x y z")
    assert [likeness(*pair) for pair in zip(both, (one, other), strict=True)] == pytest.approx(
        [1, 1], abs=1e-3
    )
    status, answer = call(swarm, CHAT, {"messages": MESSAGES})
    assert (status, answer["error"]["param"]) == (400, "model")
    assert EMBEDDINGS in answer["error"]["message"]
    assert call(swarm, "/rerank", {"query": "a", "documents": ["b"]})[0] == 400
    status, answer = call(swarm, EMBEDDINGS, {"input": "a " * ENCODED})
    assert status == 400, answer
    assert "too large to process" in answer["error"]["message"]
    (worker,) = status_of(lswarm, swarm)["workers"]
    assert worker["drift"] == []
    assert swarm.terminate() == 0


def test_a_reranking_model_ranks(
    up: Callable[..., Up], lswarm: Lswarm, model: Callable[..., str]
) -> None:
    swarm = up("--model", model(ranks=True))
    asked = {"query": "a b", "documents": ["a b c", "x", "a b c"]}
    for path in ("/rerank", "/v1/rerank", "/reranking"):
        status, answer = call(swarm, path, asked)
        assert status == 200, answer
        scores = {each["index"]: each["relevance_score"] for each in answer["results"]}
        assert scores.keys() == {0, 1, 2}
        assert scores[0] == pytest.approx(scores[2], abs=1e-3)
    for path in (EMBEDDINGS, CHAT):
        status, answer = call(swarm, path, {"input": "a", "messages": MESSAGES})
        assert (status, answer["error"]["param"]) == (400, "model")
    (worker,) = status_of(lswarm, swarm)["workers"]
    assert worker["drift"] == []
    assert swarm.terminate() == 0


def test_a_model_that_answers_makes_embeddings_too_where_it_is_asked_to(
    up: Callable[..., Up], lswarm: Lswarm
) -> None:
    swarm = up("--", "--embeddings", "--pooling", "mean")
    (one,), (again,) = (vectors(swarm, "def add(a, b):") for _ in range(2))
    assert one == again
    assert likeness(one, one) == pytest.approx(1, abs=1e-5)
    status, answer = call(swarm, CHAT, {"model": swarm.model, "messages": MESSAGES})
    assert (status, answer["swarm"]["voters"]) == (200, 3)
    assert call(swarm, "/rerank", {"query": "a", "documents": ["b"]})[0] == 501
    (worker,) = status_of(lswarm, swarm)["workers"]
    assert worker["drift"] == []
    assert swarm.terminate() == 0


@pytest.mark.parametrize("words", [["--reranking"], ["--pooling", "rank"]])
def test_a_model_that_cannot_rank_is_not_asked_to(lswarm: Lswarm, words: list[str]) -> None:
    done = lswarm("up", "--model", "builtin:demo", "--", *words)
    assert done.returncode == 2
    assert "cannot rank" in done.stderr

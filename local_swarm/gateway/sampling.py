"""How the voters of one request are asked to sample, and what they tell besides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.gathering import Ask
from local_swarm.wire.certainty import ASKED
from local_swarm.wire.chat import ChatRequest

HOTTEST = 2.0
NO_LOGPROBS = ("logprobs", "top_logprobs", "n_probs", "tools")
"""Fields of a request that asks for its own log-probabilities, or with which some engines have
none."""


def temperatures(ask: Ask, requests: int, spread: float) -> list[float | None]:
    """One for each upstream request, spread evenly around the swarm's own."""
    base = ask.temperature
    if base is None or requests < 2 or ask.request.seed is not None:
        return [base] * requests
    steps = [2 * i / (requests - 1) - 1 for i in range(requests)]
    return [round(min(HOTTEST, max(0.0, base + spread * step)), 4) for step in steps]


def certainty(ask: Ask, endpoint: Endpoint) -> Mapping[str, Any]:
    """Fields that ask for log-probabilities, where there is a vote to tell them, the client asks
    for none itself, and the engine has them."""
    body, able = ask.request.body, endpoint.capabilities.logprobs
    free = not any(body.get(key) for key in NO_LOGPROBS)
    return ASKED if ask.want > 1 and able and free and isinstance(ask.request, ChatRequest) else {}

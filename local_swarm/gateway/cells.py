"""What a request takes of a pool of cells, read from its JSON and written into it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_swarm.errors import ContextExceeded
from local_swarm.gateway.seats import Lease

LIMITS = ("n_predict", "max_completion_tokens", "max_tokens", "max_output_tokens")
"""Names of the most tokens of an answer; of several, llama-server takes the first."""


def answer_tokens(body: Mapping[str, Any]) -> int | None:
    """The most tokens that each answer may have by the request's own words; None for no limit."""
    for name in LIMITS:
        value = body.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return int(value) if value >= 0 else None
    return None


def limited(body: dict[str, Any], lease: Lease) -> dict[str, Any]:
    """The body for the worker of this lease: no answer may outgrow the cells kept for it."""
    if lease.answer_tokens is None:
        return body
    kept = {key: value for key, value in body.items() if key not in LIMITS}
    return {**kept, "max_tokens": lease.answer_tokens}


def too_long(tokens: int, n_ctx: int, *, param: str | None = None) -> ContextExceeded:
    """The refusal in llama-server's wording. `tokens` is what the prompt has, or less."""
    return ContextExceeded(
        f"request ({tokens} tokens) exceeds the available context size ({n_ctx} tokens), "
        "try increasing it",
        param=param,
        extra={"n_prompt_tokens": tokens, "n_ctx": n_ctx},
    )

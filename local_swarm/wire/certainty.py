"""How sure an engine was of the words it wrote, by the log-probabilities that it tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeGuard

WINDOW = 16
"""Tokens; an answer is as doubtful as its least certain passage."""
ASKED: Mapping[str, Any] = {"logprobs": True, "top_logprobs": 1, "post_sampling_probs": True}
"""With fewer alternatives than one llama-server tells nothing; with none named it sends 20. What it
tells after sampling costs it nothing, what it tells before that 1.6 ms for each token of a
vocabulary of 152,000: it sorts all of it."""
LEAST = math.log(1e-9)


def logprobs_in(told: Mapping[str, Any]) -> Iterator[float]:
    """Of the tokens in what a choice tells: chat's list of `content`, `logprob` of each or, told
    after sampling, `prob`. What is no such number is left out."""
    content = told.get("content")
    for token in content if isinstance(content, list) else ():
        if not isinstance(token, dict):
            continue
        value, chance = token.get("logprob"), token.get("prob")
        if _is_number(value) and value <= 0:
            yield max(LEAST, float(value))
        elif _is_number(chance) and 0 <= chance <= 1.001:
            yield max(LEAST, math.log(chance)) if chance > 0 else LEAST


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def mean_and_lowest(logprobs: Sequence[float]) -> tuple[float, float] | None:
    """Of all tokens, and of the least certain WINDOW of them; None where none are known."""
    if not logprobs:
        return None
    sums = [0.0, *accumulate(logprobs)]
    width = min(WINDOW, len(logprobs))
    lowest = min(sums[at + width] - sums[at] for at in range(len(logprobs) - width + 1))
    return min(0.0, sums[-1] / len(logprobs)), min(0.0, lowest / width)

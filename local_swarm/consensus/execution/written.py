"""Calls of the asked function that a worker thinks of, to tell candidates apart by what they do."""

from __future__ import annotations

import json
from typing import Any

from local_swarm.consensus.ballot import MAX_PROMPT_CHARS
from local_swarm.consensus.reading.repair import find_header

CALLS = 6
MAX_CALL_CHARS = 200
SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": CALLS,
    "maxItems": CALLS,
}


def question(prompt: str) -> str | None:
    """What a worker is asked, its answer held to `SCHEMA`; None where the prompt shows no header of
    a Python function."""
    header = find_header(prompt[-MAX_PROMPT_CHARS:])
    if header is None:
        return None
    return (
        f"{prompt}\n\nDo not write the function. Write {CALLS} calls of `{header.name}` with which "
        "to test it: usual arguments and edge cases, every argument a Python literal. Reply with a "
        f'JSON list of {CALLS} strings, as ["{header.name}(...)", ...].'
    )


def calls_in(answer: str) -> tuple[str, ...]:
    """The calls in such an answer, as they were written; none where it is not what was asked for.
    Nothing is judged here: the strategy that runs them does."""
    try:
        listed = json.loads(answer)
    except (ValueError, RecursionError):
        return ()
    texts = (
        [text.strip() for text in listed if isinstance(text, str)]
        if isinstance(listed, list)
        else []
    )
    return tuple(dict.fromkeys(text for text in texts if 0 < len(text) <= MAX_CALL_CHARS))[:CALLS]

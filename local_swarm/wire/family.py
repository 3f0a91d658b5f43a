"""How one API speaks: its request in, its answer out.

Every voted API is a `Family`. Its request becomes one `VotedRequest`, which workers are asked; the
answers that come back, all of one shape (`wire/answer.py`), are written out by its `Reply`: whole,
replayed as a stream once the vote is over, or passed on while one worker writes. An error in a
stream that has begun is an event of that API too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from local_swarm.errors import LocalSwarmError
from local_swarm.wire.answer import Answer
from local_swarm.wire.request import VotedRequest

MERGE_BYTES = 512


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds an answer: one id for all of a stream, the second it was created, and the
    model's public name."""

    id: str
    created: int
    model: str


class Reply(Protocol):
    """Writes the answer of one request. Of the three ways one is used, once."""

    def whole(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> dict[str, Any]:
        """The JSON object; `answers[i]` becomes choice i where the API has choices. `swarm` are
        the vote's facts."""
        ...

    def replay(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> Iterator[bytes]:
        """The same as framed stream events, in few of them; the last one carries the facts."""
        ...

    def live(self, batch: Iterable[bytes]) -> bytes:
        """The framed events for the client that these events of a worker are (their data; b"" where
        there is nothing to say). The worker's last one carries the facts as `swarm`."""
        ...

    def end(self) -> bytes:
        """What closes a stream of `live`."""
        ...

    def failed(self, error: LocalSwarmError) -> bytes:
        """The framed event that ends a stream which has begun and cannot go on."""
        ...


class Family(Protocol):
    """One API; holds no state. `id_prefix` is how the ids of its answers begin."""

    id_prefix: str

    def parse(self, body: object, *, strategy_header: str | None = None) -> VotedRequest:
        """Raises InvalidRequest, naming the field."""
        ...

    def reply(self, request: VotedRequest, envelope: Envelope) -> Reply:
        """`request` is one that `parse` gave."""
        ...


class CountedFamily(Family, Protocol):
    """One that can be asked how many tokens a request has. `count_head` is what it says beside
    their number."""

    count_head: Mapping[str, str]


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_urlsafe(18)}"


def encode_named(name: str, data: dict[str, Any]) -> bytes:
    """One event with a name, as Anthropic's API and OpenAI's responses have them."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


def deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    """The answer as chat deltas: reasoning and content merged to line ends or MERGE_BYTES, then
    one whole fragment per tool call."""
    for piece in merged(answer.reasoning):
        yield {"reasoning_content": piece}
    for piece in merged(answer.text):
        yield {"content": piece}
    for index, call in answer.calls():
        yield {"tool_calls": [{"index": index, **call}]}


def merged(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces joined up to a line end or MERGE_BYTES, so that a replay is few events."""
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if piece.endswith("\n") or size >= MERGE_BYTES:
            yield "".join(pending)
            pending, size = [], 0
    if pending and size:
        yield "".join(pending)


def usage_of(answers: Sequence[Answer]) -> dict[str, Any]:
    """The prompt once, and what the returned answers took; details as the worker told them."""
    usage = dict(answers[0].usage or {})
    prompt = usage.get("prompt_tokens", 0)
    completion_tokens = sum(a.completion_tokens or 0 for a in answers)
    usage.update(
        prompt_tokens=prompt,
        completion_tokens=completion_tokens,
        total_tokens=prompt + completion_tokens,
    )
    return usage


@dataclass(frozen=True, slots=True)
class Tokens:
    """A usage object's numbers; 0 where it does not tell."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, usage: object) -> Tokens:
        usage = usage if isinstance(usage, dict) else {}
        return cls(
            prompt=_count(usage, "prompt_tokens"),
            cached=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
            completion=_count(usage, "completion_tokens"),
            reasoning=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
        )


def _count(fields: object, key: str) -> int:
    value = fields.get(key) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else 0

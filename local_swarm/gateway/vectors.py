"""Embeddings of answers, for votes that compare what they mean."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import RequestError
from local_swarm.gateway.ledger import Ledger, Need
from local_swarm.gateway.upstream import Lost, Upstream, UpstreamError
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

Vector = tuple[float, ...]
EMBEDDINGS_PATH = "/v1/embeddings"
MAX_REPLY_BYTES = 16 * 1024 * 1024  # 32 texts of 8192 numbers are 6
LONGEST = 1e100  # of a vector; the square of a longer one is no number


class Embedder(Protocol):
    """Sends one embeddings request. Raises UpstreamError or RequestError."""

    async def post(self, texts: Sequence[str], within_s: float) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class ServerEmbedder:
    """An OpenAI-compatible server that the user named. `url` ends where `/embeddings` follows."""

    upstream: Upstream
    url: str
    model: str
    key: str = ""

    async def post(self, texts: Sequence[str], within_s: float) -> dict[str, Any]:
        server = Endpoint("embeddings", self.url.rstrip("/"), self.key, 0, 0, 0, 0)
        body = {"model": self.model, "input": list(texts)}
        return await self.upstream.post(
            server, "/embeddings", body, within_s=within_s, most_bytes=MAX_REPLY_BYTES
        )


@dataclass(frozen=True, slots=True)
class OwnEmbedder:
    """The swarm's own workers, where they were started to make embeddings too."""

    upstream: Upstream
    ledger: Ledger
    model: str

    async def post(self, texts: Sequence[str], within_s: float) -> dict[str, Any]:
        until = time.monotonic() + within_s
        leases = await self.ledger.acquire(Need(1, solo=True), within_s=within_s)
        try:
            endpoint = leases[0].endpoint
            body: dict[str, Any] = {"model": self.model, "input": list(texts)}
            if endpoint.capabilities.id_slot:
                body["id_slot"] = leases[0].slots[0]
            left_s = max(0.001, until - time.monotonic())
            return await self.upstream.post(
                endpoint, EMBEDDINGS_PATH, body, within_s=left_s, most_bytes=MAX_REPLY_BYTES
            )
        finally:
            self.ledger.release(leases)


async def vectors_of(
    embedder: Embedder, texts: Sequence[str], within_s: float
) -> tuple[Vector, ...] | None:
    """One vector for each text, an empty one for an empty text; None where none can be had. Equal
    texts are asked for once: an engine may round them differently beside others. Never raises."""
    asked = sorted({text for text in texts if text})
    if not asked:
        return None
    try:
        reply = await embedder.post(asked, within_s)
        found = dict(zip(asked, _read(reply, len(asked)), strict=True))
    except (UpstreamError, RequestError) as exc:
        log.warning("no embeddings for a vote", error=type(exc).__name__)
        return None
    return tuple(found.get(text, ()) for text in texts)


def _read(reply: dict[str, Any], count: int) -> list[Vector]:
    """In the order of the texts. Raises Lost for what is not as OpenAI has it."""
    rows = reply.get("data")
    by_index: dict[int, Vector] = {}
    for place, row in enumerate(rows if isinstance(rows, list) else ()):
        if isinstance(row, dict) and isinstance(index := row.get("index", place), int):
            by_index[index] = _vector(row.get("embedding"))
    lengths = {len(vector) for vector in by_index.values()}
    if set(by_index) != set(range(count)) or len(lengths) != 1 or lengths == {0}:
        raise Lost("the answer holds no vector for every text")
    return [by_index[place] for place in range(count)]


def _vector(numbers: object) -> Vector:
    """Empty for what is none, or cannot be compared."""
    if not isinstance(numbers, list) or not all(isinstance(v, (int, float)) for v in numbers):
        return ()
    try:
        vector = tuple(map(float, numbers))
    except OverflowError:
        return ()
    return vector if math.hypot(*vector) < LONGEST else ()

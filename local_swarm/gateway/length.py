"""Whether a prompt fits a slot, known before any voter hears of the request.

The size of the request decides for most of them (`bounds`). Only where that is not enough one
worker is asked to count, and the next turn of that conversation is judged by the count and the size
of what came after. Where slots share a pool of cells every prompt is counted: the ledger keeps
cells for it, and a bound would keep several times too many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from local_swarm.errors import InvalidRequest
from local_swarm.gateway.bounds import (
    ENDS_TOKENS,
    Counts,
    least_tokens,
    least_tokens_of,
    most_tokens,
    most_tokens_of,
)
from local_swarm.gateway.cells import too_long
from local_swarm.gateway.counting import Counting
from local_swarm.gateway.ports import Fleet
from local_swarm.wire.completions import CompletionRequest
from local_swarm.wire.request import VotedRequest

COUNTED_BYTES_PER_S = 200_000  # much less than what a worker counts on one core
LIKELY_BYTES = 8
"""Of one token: text and code have 3 to 5. What is larger and cannot be counted is refused."""


class Length:
    """Shared by all requests of one gateway."""

    def __init__(self, model_id: str, fleet: Fleet, counting: Counting) -> None:
        self._model_id = model_id
        self._fleet = fleet
        self._counting = counting
        self._counts = Counts()

    async def check(self, request: VotedRequest, *, within_s: float) -> int | None:
        """`check_chat` or `check_prompt` of what a worker would be asked."""
        if isinstance(request, CompletionRequest):
            return await self.check_prompt(request.body["prompt"], within_s=within_s)
        body = request.upstream_body(
            model=self._model_id, n=1, slot=None, seed_offset=0, temperature=None
        )
        return await self.check_chat(body, request.conversation, within_s=within_s)

    async def check_chat(
        self, body: dict[str, Any], conversation: str, *, within_s: float
    ) -> int | None:
        """How many tokens the prompt of a chat completions body has at most: the `prompt_tokens`
        of a ledger's `Need`. None where nobody can tell.

        Takes no time mostly; counting takes up to `within_s` seconds and more for large bodies.
        Raises ContextExceeded for a prompt that no worker has room for (`n_prompt_tokens` is what
        was counted, or what it has at least), InvalidRequest for a large one that could not be
        counted in time. Else the request goes on: a worker says the same, only later.
        """
        self._refuse(least_tokens(body, self._token_bytes), "messages")
        found = [most_tokens(body), self._counts.most_tokens(conversation, body)]
        most = min((bound for bound in found if bound is not None), default=None)
        if self._settled(most):
            return most
        size = len(msgspec.json.encode(body))
        tokens = await self._timed(self._counting.chat, body, size, within_s, "messages")
        if tokens is None:
            return self._believed(most)
        self._counts.remember(conversation, body, tokens)
        self._refuse(tokens, "messages")
        return tokens

    async def check_prompt(self, prompt: object, *, within_s: float) -> int | None:
        """The same of a plain prompt: a text, tokens, both mixed, or a list of those, of which the
        longest is told."""
        counts = [await self._plain(one, within_s) for one in _prompts(prompt)]
        known = [count for count in counts if count is not None]
        return max(known, default=None) if len(known) == len(counts) else None

    async def _plain(self, parts: Sequence[object], within_s: float) -> int | None:
        texts = [part for part in parts if isinstance(part, str)]
        if any(not isinstance(part, (str, int)) for part in parts):
            return None  # it has media, or is nonsense: the worker's to judge
        tokens = len(parts) - len(texts)
        least = sum(least_tokens_of(text, self._token_bytes) for text in texts)
        self._refuse(tokens + least, "prompt")
        most = tokens + sum(map(most_tokens_of, texts))
        if self._settled(most) or not texts:
            return self._believed(most)
        for text in texts:
            size = len(text)
            counted = await self._timed(self._counting.text, text, size, within_s, "prompt")
            if counted is None:
                return self._believed(most)
            tokens += counted
        marks = ENDS_TOKENS * (len(texts) - 1)  # every text was counted with its own
        self._refuse(tokens - marks, "prompt")
        return tokens

    async def _timed(
        self,
        count: Callable[..., Coroutine[Any, Any, int | None]],
        what: object,
        size: int,
        within_s: float,
        param: str,
    ) -> int | None:
        limit_s = within_s + size / COUNTED_BYTES_PER_S
        try:
            return await count(what, within_s=limit_s)
        except asyncio.TimeoutError as exc:
            if size <= self._ctx * LIKELY_BYTES:
                return None
            raise InvalidRequest(
                f"The prompt has {size} bytes, too many to be counted within {limit_s:.0f} s; "
                f"there is room for {self._ctx} tokens.",
                param=param,
            ) from exc

    @property
    def _ctx(self) -> int:
        return max((endpoint.ctx for endpoint in self._fleet.expected()), default=0)

    @property
    def _token_bytes(self) -> int:
        """The longest token of any worker; 0 where one does not tell."""
        known = [endpoint.token_bytes for endpoint in self._fleet.expected()]
        return max(known) if known and all(known) else 0

    def _refuse(self, tokens: int, param: str) -> None:
        """Refuses a prompt of so many tokens, or more, that no worker has room for."""
        n_ctx = self._ctx
        if tokens >= n_ctx > 0:  # the answer needs a cell too
            raise too_long(tokens, n_ctx, param=param)

    def _settled(self, most: int | None) -> bool:
        """Whether nothing is left to ask: it fits whatever worker gets it, by its size alone."""
        expected = self._fleet.expected()
        if any(endpoint.pool for endpoint in expected):
            return False
        least = min((endpoint.ctx for endpoint in expected), default=0)
        return most is not None and most < least

    def _believed(self, most: int | None) -> int | None:
        """A bound that is of use: one that fits the largest worker."""
        return most if most is not None and most < self._ctx else None


def _prompts(prompt: object) -> list[Sequence[object]]:
    """A text or a list that has tokens in it is one prompt, any other list is several."""
    if not isinstance(prompt, list):
        return [[prompt]]
    if any(isinstance(part, int) for part in prompt):
        return [prompt]
    return [part if isinstance(part, list) else [part] for part in prompt]

"""Whether a prompt fits a slot, known before any voter hears of the request.

A token stands for at least one byte of the prompt, so the size of the request's own JSON decides
for most of them. Only where that is not enough one worker is asked to count, and the next turn of
that conversation is judged by the count and the size of what came after. Counting needs no slot:
the worker's HTTP threads do it, whatever its slots are busy with.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from local_swarm.domain.endpoint import Endpoint
from local_swarm.errors import ContextExceeded
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.ports import Fleet
from local_swarm.gateway.upstream import Refused, Upstream, UpstreamError
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire.chat import ChatRequest

log = get_logger(__name__)

COUNT_PATH = "/v1/chat/completions/input_tokens"
TEMPLATE_PATH = "/apply-template"
TOKENIZE_PATH = "/tokenize"
MISSING = frozenset({404, 405, 501})  # what an engine without a path answers
ASKED_AT_ONCE = 2  # a worker has few threads for HTTP, and the answers need them

TEMPLATE_TOKENS = 2048  # a template's own system prompt and its words about tools
MESSAGE_TOKENS = 32  # the marks around one message, which are mostly one token each
TOOL_TOKENS = 64  # the same around one tool
TURN_TOKENS = 128  # where a template writes a message otherwise once it is not the last
REMEMBERED = 256  # conversations


def most_tokens(body: dict[str, Any]) -> int | None:
    """More tokens than the prompt of this chat request can have; None where its size does not
    tell (what stands for an image has nothing to do with its bytes)."""
    messages, tools = body.get("messages") or (), body.get("tools") or ()
    if any(_has_media(message.get("content")) for message in messages):
        return None
    marks = TEMPLATE_TOKENS + MESSAGE_TOKENS * len(messages) + TOOL_TOKENS * len(tools)
    return len(msgspec.json.encode(body)) + marks


@dataclass(frozen=True, slots=True)
class _Counted:
    """A request whose prompt was counted: its messages, and a digest of all that it said."""

    messages: int
    digest: bytes
    tokens: int


class Counts:
    """What was counted lately, by conversation."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Counted] = OrderedDict()

    def remember(self, conversation: str, body: dict[str, Any], tokens: int) -> None:
        count = len(body["messages"])
        self._known[conversation] = _Counted(count, _digest(body, count), tokens)
        self._known.move_to_end(conversation)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def most_tokens(self, conversation: str, body: dict[str, Any]) -> int | None:
        """More tokens than the prompt can have, where it goes on from one that was counted."""
        known = self._known.get(conversation)
        messages = body["messages"]
        if known is None or len(messages) < known.messages:
            return None
        added = messages[known.messages :]
        if any(_has_media(message.get("content")) for message in added):
            return None
        if _digest(body, known.messages) != known.digest:
            return None
        size = len(msgspec.json.encode(added)) + MESSAGE_TOKENS * len(added)
        return known.tokens + size + TURN_TOKENS


def _digest(body: dict[str, Any], messages: int) -> bytes:
    opening = {**body, "messages": body["messages"][:messages]}
    return hashlib.sha256(msgspec.json.encode(opening)).digest()


def _has_media(content: object) -> bool:
    parts = content if isinstance(content, list) else ()
    return any(isinstance(part, dict) and part.get("type", "text") != "text" for part in parts)


class Length:
    """Shared by all requests of one gateway."""

    def __init__(self, model_id: str, fleet: Fleet, ledger: Ledger, upstream: Upstream) -> None:
        self._model_id = model_id
        self._fleet = fleet
        self._ledger = ledger
        self._upstream = upstream
        self._counts = Counts()
        self._asking = asyncio.Semaphore(ASKED_AT_ONCE)

    async def check(self, chat: ChatRequest, *, within_s: float) -> None:
        """Takes up to `within_s` seconds, nearly always none.

        Raises ContextExceeded for a prompt that no worker has room for. Where nobody can tell,
        the request goes on: a worker says the same, only later.
        """
        n_ctx = max((endpoint.ctx for endpoint in self._fleet.expected()), default=0)
        body = chat.upstream_body(
            model=self._model_id, n=1, slot=None, seed_offset=0, temperature=None
        )
        if _fits(most_tokens(body), n_ctx):
            return
        conversation = chat.conversation
        if _fits(self._counts.most_tokens(conversation, body), n_ctx):
            return
        tokens = await self._count(body, within_s)
        if tokens is None:
            return
        self._counts.remember(conversation, body, tokens)
        if tokens >= n_ctx > 0:  # the answer needs a cell too
            raise ContextExceeded(
                f"request ({tokens} tokens) exceeds the available context size ({n_ctx} tokens), "
                "try increasing it",
                param="messages",
                extra={"n_prompt_tokens": tokens, "n_ctx": n_ctx},
            )

    async def _count(self, body: dict[str, Any], within_s: float) -> int | None:
        """The prompt's tokens, by the worker with the fewest slots at work; None if it fails."""
        endpoints = self._fleet.endpoints()
        if not endpoints:
            return None
        endpoint = min(endpoints, key=lambda e: self._ledger.busy(e.id))
        try:
            return await asyncio.wait_for(self._ask(endpoint, body, within_s), within_s)
        except (UpstreamError, asyncio.TimeoutError) as exc:
            log.debug("a prompt could not be counted", worker=endpoint.id, error=str(exc))
            return None

    async def _ask(self, endpoint: Endpoint, body: dict[str, Any], within_s: float) -> int | None:
        async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return await self._upstream.post(endpoint, path, body, within_s=within_s)

        async with self._asking:
            try:
                return _number((await post(COUNT_PATH, body)).get("input_tokens"))
            except Refused as exc:
                if exc.status not in MISSING:
                    raise
            return await _count_by_hand(post, body)


def _fits(most: int | None, n_ctx: int) -> bool:
    return most is not None and most < n_ctx


async def _count_by_hand(
    post: Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]], body: dict[str, Any]
) -> int | None:
    """For a llama-server from before it could count chats."""
    prompt = (await post(TEMPLATE_PATH, body)).get("prompt")
    content = {"content": prompt, "add_special": True, "parse_special": True}
    tokens = (await post(TOKENIZE_PATH, content)).get("tokens")
    return len(tokens) if isinstance(tokens, list) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

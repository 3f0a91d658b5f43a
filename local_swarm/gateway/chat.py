"""POST /v1/chat/completions."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from aiohttp import web

from local_swarm.domain.rules import Rules
from local_swarm.errors import InvalidRequest, Overloaded
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.bodies import read_json, session_of
from local_swarm.gateway.fanout import Ask
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.stream import Pace, send
from local_swarm.gateway.turns import Served, Turn, turn_of
from local_swarm.gateway.votes import Votes
from local_swarm.wire.answer import Envelope, chunks, completion
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.rules import rules_of
from local_swarm.wire.sse import DONE, encode_event


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """Seconds; `length_s` is what counting a prompt may take. `temperature` is for voters whose
    client sets no sampling."""

    pace: Pace = field(default_factory=Pace)
    timeout_s: float = 600.0
    length_s: float = 5.0
    temperature: float = 0.8


class Chat:
    def __init__(
        self,
        served: Served,
        settings: ChatSettings,
        *,
        votes: Votes,
        relay: Relay,
        ledger: Ledger,
        length: Length,
        strategies: frozenset[str],
        activity: Activity,
    ) -> None:
        self._served = served
        self._settings = settings
        self._votes = votes
        self._relay = relay
        self._ledger = ledger
        self._length = length
        self._strategies = strategies
        self._activity = activity

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises a RequestError before anything was sent; later errors are in the stream."""
        body = await read_json(request)  # before it counts: half a body must not hold up a stop
        if self._activity.draining:
            raise Overloaded("The swarm is stopping.", retry_after_s=10)
        with self._activity:
            return await self._answer(request, body)

    async def _answer(self, request: web.Request, body: object) -> web.StreamResponse:
        started = time.monotonic()
        chat = ChatRequest.parse(body, strategy_header=request.headers.get("X-Swarm-Strategy"))
        turn = turn_of(
            chat,
            self._served,
            voting_slots=self._ledger.voting_capacity,
            all_slots=self._ledger.slots,
        )
        if turn.voted and turn.strategy not in self._strategies | {"off"}:
            known = ", ".join(sorted(self._strategies))
            raise InvalidRequest(
                f"The strategy {turn.strategy!r} is not known; known are {known}.",
                param="swarm.strategy",
            )
        rules = rules_of(chat.body) if enforced(chat, turn, self._served) else Rules()
        await self._length.check(chat, within_s=self._settings.length_s)
        accepted = asyncio.Event()
        ask = self._ask(request, chat, turn, accepted)
        if not chat.stream:
            return await self._plain(chat, turn, ask, rules, started)
        if rules.strict:  # the 200 waits, so that NoValidAnswer can be a status and no event
            ask = replace(ask, accepted=lambda: None)
        if turn.live:
            events = self._live(turn, ask)
        else:
            events = self._voted(chat, turn, ask, rules, started)
        headers = {"X-Swarm-Strategy": turn.strategy, "X-Swarm-Voters": str(turn.want)}
        return await send(request, events, accepted, self._settings.pace, headers)

    def _ask(
        self, request: web.Request, chat: ChatRequest, turn: Turn, accepted: asyncio.Event
    ) -> Ask:
        lane = "solo" if turn.solo else "vote"
        return Ask(
            request=chat,
            want=turn.want,
            quorum=turn.quorum,
            within_s=self._settings.timeout_s,
            conversation=f"{lane}:{session_of(request)}:{chat.conversation}",
            solo=turn.solo,
            exact=turn.exact,
            first=turn.voted and turn.strategy == "fastest" and chat.n == 1,
            temperature=None if turn.solo else self._settings.temperature,
            accepted=accepted.set,
        )

    async def _plain(
        self, chat: ChatRequest, turn: Turn, ask: Ask, rules: Rules, started: float
    ) -> web.StreamResponse:
        decided = await self._votes.decide(turn, ask, rules, started)
        body = completion(decided.ranked[: chat.n], self._envelope(decided.facts))
        headers = {
            f"X-Swarm-{key.capitalize()}": str(decided.facts[key])
            for key in ("strategy", "voters", "answered", "agreement", "winner")
        }
        return web.Response(
            body=msgspec.json.encode(body), content_type="application/json", headers=headers
        )

    async def _voted(
        self, chat: ChatRequest, turn: Turn, ask: Ask, rules: Rules, started: float
    ) -> AsyncGenerator[bytes, None]:
        """The winner's own words, replayed without pauses once the vote is over."""
        decided = await self._votes.decide(turn, ask, rules, started)
        envelope = self._envelope(decided.facts)
        include_usage = chat.include_usage
        for event in chunks(decided.ranked[: chat.n], envelope, include_usage=include_usage):
            yield event

    async def _live(self, turn: Turn, ask: Ask) -> AsyncGenerator[bytes, None]:
        """One voter, streamed as it writes."""
        facts = {
            "strategy": turn.strategy,
            "voters": 1,
            "answered": 1,
            "agreement": 1.0,
            "winner": 0,
            "why": turn.why,
        }
        events = self._relay.events(ask, facts)
        try:
            async for data in events:
                yield encode_event(data)
        finally:
            await events.aclose()
        yield encode_event(DONE)

    def _envelope(self, facts: dict[str, Any]) -> Envelope:
        return Envelope(
            id=f"chatcmpl-{secrets.token_urlsafe(18)}",
            created=int(time.time()),
            model=self._served.model_id,
            swarm=facts,
        )


def enforced(chat: ChatRequest, turn: Turn, served: Served) -> bool:
    """Whether an answer must keep the request's rules: not what is shown as it is written, nor
    where one worker's own words are asked for."""
    return not (turn.live or turn.solo or (chat.swarm.strategy or served.strategy) == "off")

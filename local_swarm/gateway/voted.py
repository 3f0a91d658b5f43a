"""The voted APIs, one handler for all: a request is read, its turn decided, its answer written.

What an API looks like is its family's business (`wire/family.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from aiohttp import web

from local_swarm.domain.rules import Rules
from local_swarm.errors import InvalidRequest
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.bodies import read_json, session_of
from local_swarm.gateway.fanout import Ask
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.record import note
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.stream import Pace, send
from local_swarm.gateway.turns import Served, Turn, turn_of
from local_swarm.gateway.votes import Decided, Votes
from local_swarm.wire.family import Envelope, Family, Reply, new_id
from local_swarm.wire.request import VotedRequest


@dataclass(frozen=True, slots=True)
class VotedSettings:
    """Seconds; `length_s` is what counting a prompt may take. `temperature` is for voters whose
    client sets no sampling."""

    pace: Pace = field(default_factory=Pace)
    timeout_s: float = 600.0
    length_s: float = 5.0
    temperature: float = 0.8


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One request on its way: what it gets, the rules of its answers, how they are written, and
    when (time.monotonic) it came."""

    request: VotedRequest
    turn: Turn
    rules: Rules
    reply: Reply
    started: float


class Voted:
    def __init__(
        self,
        served: Served,
        settings: VotedSettings,
        *,
        votes: Votes,
        relay: Relay,
        ledger: Ledger,
        length: Length,
        strategies: frozenset[str],
        activity: Activity,
        executes: bool = False,
    ) -> None:
        self._served = served
        self._settings = settings
        self._votes = votes
        self._relay = relay
        self._ledger = ledger
        self._length = length
        self._strategies = strategies
        self._activity = activity
        self._executes = executes

    async def handle(self, family: Family, request: web.Request) -> web.StreamResponse:
        """Raises a RequestError before anything was sent; later errors are in the stream."""
        body = await read_json(request)  # before it counts: half a body must not hold up a stop
        with self._activity:
            inquiry = self._read(family, request, body)
            prompt_tokens = await self._length.check(
                inquiry.request, within_s=self._settings.length_s
            )
            return await self._answer(request, inquiry, prompt_tokens)

    def _read(self, family: Family, request: web.Request, body: object) -> Inquiry:
        started = time.monotonic()
        voted = family.parse(body, strategy_header=request.headers.get("X-Swarm-Strategy"))
        turn = turn_of(
            voted,
            self._served,
            voting_slots=self._ledger.voting_capacity,
            all_slots=self._ledger.slots,
        )
        note(model=voted.model, strategy=turn.strategy, voters=turn.want)
        if turn.voted and turn.strategy not in self._strategies | {"off"}:
            known = ", ".join(sorted(self._strategies))
            raise InvalidRequest(
                f"The strategy {turn.strategy!r} is not known; known are {known}.",
                param="swarm.strategy",
            )
        if turn.voted and turn.strategy == "execution" and not self._executes:
            raise InvalidRequest(
                'The strategy "execution" runs the answers\' code, which is off here.',
                hint="Set execute = true in [consensus] to allow it.",
                param="swarm.strategy",
            )
        rules = voted.rules() if enforced(voted, turn, self._served) else Rules()
        envelope = Envelope(new_id(family.id_prefix), int(time.time()), self._served.model_id)
        return Inquiry(voted, turn, rules, family.reply(voted, envelope), started)

    async def _answer(
        self, request: web.Request, inquiry: Inquiry, prompt_tokens: int | None
    ) -> web.StreamResponse:
        accepted = asyncio.Event()
        ask = replace(self._ask(request, inquiry, accepted), prompt_tokens=prompt_tokens)
        if not inquiry.request.stream:
            return await self._plain(inquiry, ask)
        if inquiry.rules.strict:
            # The 200 waits, so that NoValidAnswer can be a status; once it is out it cannot.
            late = self._settings.pace.first_byte_s
            ask = replace(ask, accepted=lambda: None, lenient_after_s=late)
        turn = inquiry.turn
        events = self._live(inquiry, ask) if turn.live else self._replayed(inquiry, ask)
        headers = {"X-Swarm-Strategy": turn.strategy, "X-Swarm-Voters": str(turn.want)}
        pace, failed = self._settings.pace, inquiry.reply.failed
        return await send(request, events, accepted, pace, headers, failed)

    def _ask(self, request: web.Request, inquiry: Inquiry, accepted: asyncio.Event) -> Ask:
        voted, turn = inquiry.request, inquiry.turn
        lane = "solo" if turn.solo else "vote"
        return Ask(
            request=voted,
            want=turn.want,
            quorum=turn.quorum,
            within_s=self._settings.timeout_s,
            conversation=f"{lane}:{session_of(request)}:{voted.conversation}",
            solo=turn.solo,
            exact=turn.exact,
            begin=turn.begin,
            first=turn.voted and turn.strategy == "fastest" and voted.n == 1,
            temperature=None if turn.solo else self._settings.temperature,
            accepted=accepted.set,
        )

    async def _decide(self, inquiry: Inquiry, ask: Ask) -> Decided:
        """The answers that the client gets, for each part of the request in turn."""
        first, *more = inquiry.request.parts()
        decided = [await self._decide_part(inquiry, replace(ask, request=first))]
        for part in more:
            left = inquiry.started + self._settings.timeout_s - time.monotonic()
            part_ask = replace(ask, request=part, within_s=max(0.0, left))
            decided.append(await self._decide_part(inquiry, part_ask))
        return together(decided) if more else decided[0]

    async def _decide_part(self, inquiry: Inquiry, ask: Ask) -> Decided:
        decided = await self._votes.decide(inquiry.turn, ask, inquiry.rules, inquiry.started)
        return replace(decided, ranked=decided.ranked[: ask.request.n])

    async def _plain(self, inquiry: Inquiry, ask: Ask) -> web.StreamResponse:
        decided = await self._decide(inquiry, ask)
        body = inquiry.reply.whole(decided.ranked, decided.facts)
        headers = {
            f"X-Swarm-{key.capitalize()}": str(decided.facts[key])
            for key in ("strategy", "voters", "answered", "agreement", "winner")
        }
        return web.Response(
            body=msgspec.json.encode(body), content_type="application/json", headers=headers
        )

    async def _replayed(self, inquiry: Inquiry, ask: Ask) -> AsyncGenerator[bytes, None]:
        """The winner's own words, without pauses once the vote is over."""
        decided = await self._decide(inquiry, ask)
        for event in inquiry.reply.replay(decided.ranked, decided.facts):
            yield event

    async def _live(self, inquiry: Inquiry, ask: Ask) -> AsyncGenerator[bytes, None]:
        """One voter, streamed as it writes."""
        facts = {
            "strategy": inquiry.turn.strategy,
            "voters": 1,
            "answered": 1,
            "agreement": 1.0,
            "winner": 0,
            "why": inquiry.turn.why,
        }
        events = self._relay.events(ask, facts)
        try:
            async for batch in events:
                if piece := inquiry.reply.live(batch):
                    yield piece
        finally:
            await events.aclose()
        if end := inquiry.reply.end():
            yield end


def together(decided: Sequence[Decided]) -> Decided:
    """The answers of a request's parts, in their order, and one set of facts."""
    *_, last = facts = [one.facts for one in decided]
    sums = {key: sum(f[key] for f in facts) for key in ("voters", "answered", "completion_tokens")}
    return Decided([answer for one in decided for answer in one.ranked], {**last, **sums})


def enforced(request: VotedRequest, turn: Turn, served: Served) -> bool:
    """Whether an answer must keep the request's rules: not what is shown as it is written, nor
    where one worker's own words are asked for."""
    return not (turn.live or turn.solo or (request.swarm.strategy or served.strategy) == "off")

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
from aiohttp.http_exceptions import ContentEncodingError

from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import InvalidRequest, Overloaded
from local_swarm.gateway.activity import Activity
from local_swarm.gateway.fanout import Ask, Fanout
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.ports import Ballots
from local_swarm.gateway.relay import Relay
from local_swarm.gateway.rulings import Ruling, Rulings
from local_swarm.gateway.stream import Pace, send
from local_swarm.gateway.turns import Served, Turn, turn_of
from local_swarm.wire.answer import Answer, Envelope, chunks, completion
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.rules import rules_of
from local_swarm.wire.sse import DONE, encode_event

BODY_TIMEOUT_S = 60.0
SESSION_HEADERS = ("X-Session-Affinity", "X-Session-Id")


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """Seconds; `length_s` is what counting a prompt may take. `temperature` is for voters whose
    client sets no sampling."""

    pace: Pace = field(default_factory=Pace)
    timeout_s: float = 600.0
    length_s: float = 5.0
    temperature: float = 0.8


@dataclass(frozen=True, slots=True)
class Decided:
    """Answers with the winner first, the verdict over them as they arrived, the vote's facts."""

    ranked: list[Answer]
    facts: dict[str, Any]


class Chat:
    def __init__(
        self,
        served: Served,
        settings: ChatSettings,
        *,
        fanout: Fanout,
        relay: Relay,
        ledger: Ledger,
        length: Length,
        ballots: Ballots,
        strategies: frozenset[str],
        activity: Activity,
        metrics: Metrics,
    ) -> None:
        self._served = served
        self._settings = settings
        self._fanout = fanout
        self._relay = relay
        self._ledger = ledger
        self._length = length
        self._ballots = ballots
        self._rulings = Rulings(fanout, ballots)
        self._strategies = strategies
        self._activity = activity
        self._metrics = metrics

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
        session = next((request.headers[h] for h in SESSION_HEADERS if h in request.headers), "")
        lane = "solo" if turn.solo else "vote"
        return Ask(
            request=chat,
            want=turn.want,
            quorum=turn.quorum,
            within_s=self._settings.timeout_s,
            conversation=f"{lane}:{session}:{chat.conversation}",
            solo=turn.solo,
            exact=turn.exact,
            first=turn.voted and turn.strategy == "fastest" and chat.n == 1,
            temperature=None if turn.solo else self._settings.temperature,
            accepted=accepted.set,
        )

    async def _plain(
        self, chat: ChatRequest, turn: Turn, ask: Ask, rules: Rules, started: float
    ) -> web.StreamResponse:
        decided = await self._decide(chat, turn, await self._ruled(ask, rules), started)
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
        decided = await self._decide(chat, turn, await self._ruled(ask, rules), started)
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

    async def _ruled(self, ask: Ask, rules: Rules) -> Ruling:
        deadline = time.monotonic() + ask.within_s
        return await self._rulings.rule(rules, ask, await self._fanout.collect(ask), deadline)

    async def _decide(
        self, chat: ChatRequest, turn: Turn, ruling: Ruling, started: float
    ) -> Decided:
        answers = ruling.answers
        candidates = [answers[i].candidate() for i in ruling.voting]
        if turn.voted and turn.strategy != "off" and len(candidates) > 1:
            verdict = await self._ballots.vote(chat.prompt, candidates, turn.strategy)
            self._metrics.voted(verdict.agreement)
        else:
            verdict = _uncompared(turn, ruling)
        verdict = among(ruling.voting, verdict)
        ranked = [answers[i] for i in ranking(verdict, len(answers))]
        facts: dict[str, Any] = {
            "strategy": verdict.strategy,
            "voters": ruling.asked,
            "answered": len(answers),
            "abstained": ruling.abstained,
            "agreement": round(verdict.agreement, 4),
            "confidence": round(verdict.confidence, 4),
            "winner": verdict.index,
            "elapsed_ms": round(1000 * (time.monotonic() - started)),
            "completion_tokens": sum(a.completion_tokens or 0 for a in answers),
            "reasons": [*ruling.reasons, *verdict.reasons, *_shortfall(turn, len(answers))],
        }
        if turn.why:
            facts["why"] = turn.why
        if chat.swarm.include_candidates:
            facts["candidates"] = _shown(ruling, verdict)
        return Decided(ranked, facts)

    def _envelope(self, facts: dict[str, Any]) -> Envelope:
        return Envelope(
            id=f"chatcmpl-{secrets.token_urlsafe(18)}",
            created=int(time.time()),
            model=self._served.model_id,
            swarm=facts,
        )


def ranking(verdict: Verdict, count: int) -> list[int]:
    """All candidates, best first: the winner, its cluster, then the other clusters by size."""
    order = [verdict.index]
    clusters = sorted(verdict.clusters, key=lambda c: (verdict.index not in c, -len(c)))
    for cluster in (*clusters, tuple(range(count))):
        order.extend(i for i in cluster if i not in order)
    return order


def among(voting: list[int], verdict: Verdict) -> Verdict:
    """A verdict over the answers that vote, told in the indices of all answers."""
    return replace(
        verdict,
        index=voting[verdict.index],
        clusters=tuple(tuple(voting[i] for i in cluster) for cluster in verdict.clusters),
    )


def enforced(chat: ChatRequest, turn: Turn, served: Served) -> bool:
    """Whether an answer must keep the request's rules: not what is shown as it is written, nor
    where one worker's own words are asked for."""
    return not (turn.live or turn.solo or (chat.swarm.strategy or served.strategy) == "off")


def _uncompared(turn: Turn, ruling: Ruling) -> Verdict:
    """There was nothing to compare: the first answer it is, and nobody is known to agree."""
    only = "One answer is left." if ruling.abstained else "Only one voter answered."
    return Verdict(
        index=0,
        agreement=1 / max(1, ruling.asked),
        confidence=0.0,
        strategy=turn.strategy,
        clusters=tuple((i,) for i in range(len(ruling.voting))),
        reasons=(turn.why or only,),
    )


def _shortfall(turn: Turn, answered: int) -> list[str]:
    """Said where time or trouble left fewer answers than were insisted on."""
    needed = turn.want if turn.exact else turn.quorum
    if answered >= needed or turn.strategy == "fastest":
        return []
    return [f"Only {answered} of the {needed} answers wanted arrived."]


def _shown(ruling: Ruling, verdict: Verdict) -> list[dict[str, Any]]:
    cluster_of = {i: c for c, members in enumerate(verdict.clusters) for i in members}
    rows = []
    for i, answer in enumerate(ruling.answers):
        candidate = replace(answer.candidate(), reasoning="")
        row = {
            "index": i,
            "worker": candidate.worker,
            "cluster": cluster_of.get(i),
            "text": candidate.text,
            "finish_reason": candidate.finish_reason,
            "elapsed_ms": round(1000 * candidate.elapsed_s),
            "completion_tokens": candidate.completion_tokens,
        }
        if (breach := ruling.breaches[i]) is not None:
            row["breaks"] = breach
        if candidate.tool_calls:
            row["tool_calls"] = [
                {"name": c.name, "arguments": c.arguments} for c in candidate.tool_calls
            ]
        rows.append(row)
    return rows


async def read_json(request: web.Request) -> object:
    """The request's body. Raises InvalidRequest for what is not JSON or does not come."""
    try:
        body = await asyncio.wait_for(request.read(), BODY_TIMEOUT_S)
        return msgspec.json.decode(body)
    except asyncio.TimeoutError as exc:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S:g} s.") from exc
    except (web.RequestPayloadError, ContentEncodingError) as exc:
        raise InvalidRequest(f"The body cannot be read: {exc}.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from exc

"""The gateway's end of the processes that compare answers and run code."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Evidence, RunsWanted, Wanted
from local_swarm.domain.execution import Report
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.gateway import vote_process
from local_swarm.gateway.vote_process import (
    HEADER,
    RUNS,
    JudgeRequest,
    Request,
    RunRequest,
    SettleRequest,
    VoteReply,
    VoteRequest,
    frame,
)
from local_swarm.telemetry.logs import get_logger
from local_swarm.telemetry.spans import describe, traced

log = get_logger(__name__)

LONGEST_VOTE_S = 10.0  # then the process is given up; what takes long in a vote is bounded in it
UNFRAMED = (ValueError, OverflowError, RecursionError)  # what msgpack has no place for


class HelperProcess:
    """A process that answers requests, one at a time. Use as an async context manager, from the
    main thread; `begin` starts it then, else the first request does. `words` are its arguments."""

    def __init__(self, *words: str, begin: bool = True) -> None:
        self._words = words
        self._begin = begin
        self._process: asyncio.subprocess.Process | None = None
        self._ended = False
        self._turn = asyncio.Lock()
        self._exchange: asyncio.Task[VoteReply] | None = None

    async def __aenter__(self) -> HelperProcess:
        if self._begin:
            await self._start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._ended = True
        if self._exchange is not None:
            self._exchange.cancel()
            await asyncio.gather(self._exchange, return_exceptions=True)
        await self._end()

    async def ask(self, request: Request) -> VoteReply:
        """One at a time. A caller that leaves does not end an exchange that has begun: the next
        would have to wait for a new process, or take this reply for its own."""
        await self._turn.acquire()
        self._exchange = asyncio.create_task(self._exchanged(request), name="vote")
        self._exchange.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(self._exchange)

    async def _exchanged(self, request: Request) -> VoteReply:
        try:
            return await asyncio.wait_for(self._sent(frame(request)), LONGEST_VOTE_S)
        except (OSError, EOFError, asyncio.TimeoutError, *UNFRAMED) as exc:
            log.warning("vote failed", error=type(exc).__name__)
            await self._end()
            return VoteReply(error=f"the vote failed ({type(exc).__name__})")

    async def _sent(self, request: bytes) -> VoteReply:
        process = self._process or await self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request)
        await process.stdin.drain()
        header = await process.stdout.readexactly(HEADER.size)
        payload = await process.stdout.readexactly(HEADER.unpack(header)[0])
        return msgspec.msgpack.decode(payload, type=VoteReply)

    async def _start(self) -> asyncio.subprocess.Process:
        if self._ended:
            raise EOFError("the gateway has ended")  # nobody would end another process
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            # By path: with -m a file in the current folder, somebody's cloned repository, could
            # stand in for a module.
            vote_process.__file__,
            *self._words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the supervisor
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class VoteProcess:
    """The two helper processes. Use as an async context manager, from the main thread.

    A vote is never the reason why a request fails: when a helper dies, takes too long or cannot
    compare, the first answer wins and the reasons say why.
    """

    def __init__(self) -> None:
        self._votes = HelperProcess()
        self._runs = HelperProcess(RUNS, begin=False)

    async def __aenter__(self) -> VoteProcess:
        await self._votes.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runs.__aexit__(*exc)
        await self._votes.__aexit__(*exc)

    @traced("vote")
    async def vote(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        strategy: str,
        rules: Rules | None = None,
        evidence: Evidence | None = None,
    ) -> Verdict | Wanted:
        """Compares `candidates`, in order of arrival, or says what must be found out first (only
        what `evidence.able` names). Blocks nobody; never raises."""
        describe(strategy=strategy, candidates=len(candidates))
        known = evidence or Evidence()
        reply = await self._votes.ask(
            VoteRequest(prompt, list(candidates), strategy, _sendable(rules), known)
        )
        return reply.verdict or reply.wanted or _uncompared(len(candidates), reply.error or "")

    async def judge(self, rules: Rules, candidates: Sequence[Candidate]) -> list[Breach | None]:
        """What each candidate breaks, nothing where that cannot be found out. Never raises."""
        reply = await self._votes.ask(JudgeRequest(_sendable(rules), list(candidates)))
        return reply.breaches or [None] * len(candidates)

    async def settled(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        missing: int,
        strategy: str,
        rules: Rules | None = None,
        evidence: Evidence | None = None,
        sure: float = 1.0,
    ) -> bool:
        """Whether `missing` more answers change who wins by a chance of 1 - `sure` at most. Never
        raises."""
        known = evidence or Evidence()
        reply = await self._votes.ask(
            SettleRequest(
                prompt, list(candidates), strategy, missing, _sendable(rules), known, sure
            )
        )
        return bool(reply.settled)

    @traced("run")
    async def run(self, wanted: RunsWanted) -> tuple[Report, ...] | None:
        """What came of the candidates' code in the sandbox; None where it could not be run. Delays
        no vote but those that wait for runs of their own. Never raises."""
        describe(jobs=len(wanted.jobs))
        reply = await self._runs.ask(RunRequest(list(wanted.jobs)))
        if reply.reports is None:
            log.warning("candidates could not be run", error=reply.error)
            return None
        return tuple(reply.reports)


def _sendable(rules: Rules | None) -> Rules:
    """Without their schemas where these hold what msgpack has no place for."""
    if rules is None:
        return Rules()
    try:
        msgspec.msgpack.encode(rules)
    except UNFRAMED:
        return replace(rules, functions=None, schema=None)
    return rules


def _uncompared(count: int, why: str) -> Verdict:
    return Verdict(
        index=0,
        agreement=1 / count,
        confidence=0.0,
        strategy="off",
        clusters=tuple((i,) for i in range(count)),
        reasons=(f"The answers were not compared: {why}.",),
    )

"""The helper process that judges and compares answers, so that no vote holds up the event loop; a
second one has candidates' code run in the sandbox, so that this holds up no vote.

Reads framed requests from stdin, writes framed replies to stdout, one at a time, and ends when
stdin does: it cannot outlive the gateway. A frame is a 4-byte big-endian length and msgpack.
"""

from __future__ import annotations

import contextlib
import signal
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from local_swarm import consensus
from local_swarm.consensus.rules import breaks
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import (
    Evidence,
    JudgementWanted,
    RunsWanted,
    VectorsWanted,
    Wanted,
)
from local_swarm.domain.execution import Job, Report
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import LocalSwarmError

RUNS = "runs"
"""The argument of the process that has code run."""
HEADER = struct.Struct(">I")
MEMORY_BYTES = 2 * 1024**3
JUDGING_S = 0.5  # of one candidate, in CPU time, which does not grow where the machine is busy
LONGEST_JUDGING_S = 2.0  # of all candidates of one request; others wait for this process


class VoteRequest(msgspec.Struct, frozen=True, tag=True):
    prompt: str
    candidates: list[Candidate]
    strategy: str
    rules: Rules = msgspec.field(default_factory=Rules)
    evidence: Evidence = msgspec.field(default_factory=Evidence)


class JudgeRequest(msgspec.Struct, frozen=True, tag=True):
    rules: Rules
    candidates: list[Candidate]


class SettleRequest(msgspec.Struct, frozen=True, tag=True):
    """`missing`: how many answers are still to come. `sure`: see `consensus.settled`."""

    prompt: str
    candidates: list[Candidate]
    strategy: str
    missing: int
    rules: Rules = msgspec.field(default_factory=Rules)
    evidence: Evidence = msgspec.field(default_factory=Evidence)
    sure: float = 1.0


class RunRequest(msgspec.Struct, frozen=True, tag=True):
    """One job for each candidate; None where there is nothing to run."""

    jobs: list[Job | None]


Request = VoteRequest | JudgeRequest | SettleRequest | RunRequest


class VoteReply(msgspec.Struct, frozen=True):
    """Exactly one is set. A VoteRequest is answered by `verdict`, or by what must be found out
    first: `runs`, `vectors` or `judgement`; a JudgeRequest by `breaches`, one for each candidate; a
    SettleRequest by `settled`; a RunRequest by `reports`, one for each job."""

    verdict: Verdict | None = None
    runs: RunsWanted | None = None
    vectors: VectorsWanted | None = None
    judgement: JudgementWanted | None = None
    breaches: list[Breach | None] | None = None
    settled: bool | None = None
    reports: list[Report] | None = None
    error: str | None = None

    @property
    def wanted(self) -> Wanted | None:
        return self.runs or self.vectors or self.judgement


def frame(message: Request | VoteReply) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return HEADER.pack(len(payload)) + payload


def answer(request: Request) -> VoteReply:
    """Never raises: whatever goes wrong in a vote is the reply. Of an error that is not ours only
    its kind: replies are logged, and its words may quote an answer."""
    try:
        return _answered(request)
    except LocalSwarmError as exc:
        return VoteReply(error=str(exc))
    except Exception as exc:
        return VoteReply(error=type(exc).__name__)


def _answered(request: Request) -> VoteReply:
    if isinstance(request, JudgeRequest):
        return VoteReply(breaches=_judged(request.rules, request.candidates))
    if isinstance(request, RunRequest):
        return VoteReply(reports=_run(request.jobs))
    if isinstance(request, SettleRequest):
        return VoteReply(
            settled=consensus.settled(
                request.prompt,
                request.candidates,
                request.missing,
                strategy=request.strategy,
                rules=request.rules,
                evidence=request.evidence,
                sure=request.sure,
            )
        )
    return _told(
        consensus.deliberate(
            request.prompt,
            request.candidates,
            strategy=request.strategy,
            rules=request.rules,
            evidence=request.evidence,
        )
    )


def _told(found: Verdict | Wanted) -> VoteReply:
    if isinstance(found, Verdict):
        return VoteReply(verdict=found)
    if isinstance(found, RunsWanted):
        return VoteReply(runs=found)
    if isinstance(found, VectorsWanted):
        return VoteReply(vectors=found)
    return VoteReply(judgement=found)


def _run(jobs: Sequence[Job | None]) -> list[Report]:
    """In the sandbox of this process. Raises SandboxUnavailable."""
    from local_swarm import sandbox  # only the second process ever needs it

    reports = iter(sandbox.shared().run([job for job in jobs if job is not None]))
    return [Report(()) if job is None else next(reports) for job in jobs]


def _judged(rules: Rules, candidates: list[Candidate]) -> list[Breach | None]:
    """One that takes too long breaks nothing: a pattern of a client's schema may take for ever."""
    import jsonschema  # noqa: F401  # its import shall not count

    breaches: list[Breach | None] = []
    until = time.process_time() + LONGEST_JUDGING_S
    for candidate in candidates:
        breach = None
        with contextlib.suppress(TookTooLong), time_limit(until - time.process_time()):
            breach = breaks(rules, candidate)
        breaches.append(breach)
    return breaches


class TookTooLong(BaseException):
    """No Exception: what is interrupted must not take it for a failure of its own."""


@contextlib.contextmanager
def time_limit(left_s: float) -> Iterator[None]:
    """Raises TookTooLong in its block after JUDGING_S of CPU time, or `left_s` if that is less.
    Regular expressions notice it too. For the main thread; where the system has no such timer,
    there is no limit."""
    if left_s <= 0:
        raise TookTooLong
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, min(JUDGING_S, left_s))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _stop(number: int, frame: Any) -> None:
    raise TookTooLong


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers until `source` ends."""
    decoder = msgspec.msgpack.Decoder(Request)
    while len(header := source.read(HEADER.size)) == HEADER.size:
        payload = source.read(HEADER.unpack(header)[0])
        sink.write(frame(answer(decoder.decode(payload))))
        sink.flush()


def limit_memory(size_bytes: int) -> None:
    """So that no answer, however made, can take the machine's memory while it is compared."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))
    except (ImportError, ValueError, OSError):
        pass  # not every system has such a limit


if __name__ == "__main__":
    if RUNS not in sys.argv[1:]:  # a sandbox has its own limits, and needs room for them
        limit_memory(MEMORY_BYTES)
    serve(sys.stdin.buffer, sys.stdout.buffer)

"""The helper process that judges and compares answers, so that no vote holds up the event loop.

Reads framed requests from stdin, writes framed replies to stdout, one at a time, and ends when
stdin does: it cannot outlive the gateway. A frame is a 4-byte big-endian length and msgpack.
"""

from __future__ import annotations

import contextlib
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from local_swarm import consensus
from local_swarm.consensus.rules import breaks
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import LocalSwarmError

HEADER = struct.Struct(">I")
MEMORY_BYTES = 2 * 1024**3
JUDGING_S = 0.5  # of one candidate, in CPU time, which does not grow where the machine is busy
LONGEST_JUDGING_S = 2.0  # of all candidates of one request; others wait for this process


class VoteRequest(msgspec.Struct, frozen=True, tag=True):
    prompt: str
    candidates: list[Candidate]
    strategy: str


class JudgeRequest(msgspec.Struct, frozen=True, tag=True):
    rules: Rules
    candidates: list[Candidate]


class SettleRequest(msgspec.Struct, frozen=True, tag=True):
    """`missing`: how many answers are still to come."""

    prompt: str
    candidates: list[Candidate]
    strategy: str
    missing: int


Request = VoteRequest | JudgeRequest | SettleRequest


class VoteReply(msgspec.Struct, frozen=True):
    """Exactly one is set: `breaches`, one for each candidate, answers a JudgeRequest, `settled` a
    SettleRequest."""

    verdict: Verdict | None = None
    breaches: list[Breach | None] | None = None
    settled: bool | None = None
    error: str | None = None


def frame(message: Request | VoteReply) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return HEADER.pack(len(payload)) + payload


def answer(request: Request) -> VoteReply:
    """Never raises: whatever goes wrong in a vote is the reply."""
    try:
        if isinstance(request, JudgeRequest):
            return VoteReply(breaches=_judged(request.rules, request.candidates))
        prompt, candidates, strategy = request.prompt, request.candidates, request.strategy
        if isinstance(request, VoteRequest):
            return VoteReply(verdict=consensus.vote(prompt, candidates, strategy=strategy))
        missing = request.missing
        return VoteReply(settled=consensus.settled(prompt, candidates, missing, strategy=strategy))
    except LocalSwarmError as exc:
        return VoteReply(error=str(exc))
    except Exception as exc:
        return VoteReply(error=f"{type(exc).__name__}: {exc}")


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
    limit_memory(MEMORY_BYTES)
    serve(sys.stdin.buffer, sys.stdout.buffer)

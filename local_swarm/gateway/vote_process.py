"""The helper process that judges and compares answers, so that no vote holds up the event loop.

Reads framed requests from stdin, writes framed replies to stdout, one at a time, and ends when
stdin does: it cannot outlive the gateway. A frame is a 4-byte big-endian length and msgpack.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

import msgspec

from local_swarm import consensus
from local_swarm.consensus.rules import breaks
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import LocalSwarmError

HEADER = struct.Struct(">I")
MEMORY_BYTES = 2 * 1024**3


class VoteRequest(msgspec.Struct, frozen=True, tag=True):
    prompt: str
    candidates: list[Candidate]
    strategy: str


class JudgeRequest(msgspec.Struct, frozen=True, tag=True):
    rules: Rules
    candidates: list[Candidate]


class VoteReply(msgspec.Struct, frozen=True):
    """Exactly one is set: `breaches`, one for each candidate, answers a JudgeRequest."""

    verdict: Verdict | None = None
    breaches: list[Breach | None] | None = None
    error: str | None = None


def frame(message: VoteRequest | JudgeRequest | VoteReply) -> bytes:
    payload = msgspec.msgpack.encode(message)
    return HEADER.pack(len(payload)) + payload


def answer(request: VoteRequest | JudgeRequest) -> VoteReply:
    """Never raises: whatever goes wrong in a vote is the reply."""
    try:
        if isinstance(request, JudgeRequest):
            return VoteReply(breaches=[breaks(request.rules, c) for c in request.candidates])
        verdict = consensus.vote(request.prompt, request.candidates, strategy=request.strategy)
        return VoteReply(verdict=verdict)
    except LocalSwarmError as exc:
        return VoteReply(error=str(exc))
    except Exception as exc:
        return VoteReply(error=f"{type(exc).__name__}: {exc}")


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers until `source` ends."""
    decoder = msgspec.msgpack.Decoder(VoteRequest | JudgeRequest)
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

"""Answers written as OpenAI's responses."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from local_swarm.errors import LocalSwarmError
from local_swarm.wire.answer import Answer
from local_swarm.wire.errors import error_body
from local_swarm.wire.family import (
    Envelope,
    Reply,
    Tokens,
    deltas,
    encode_named,
    usage_of,
)
from local_swarm.wire.request import VotedRequest
from local_swarm.wire.responses_output import Event, Output
from local_swarm.wire.responses_request import chat_request

ECHOED: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""What a response says again of its request, and what it says where the request did not."""
INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesFamily:
    id_prefix = "resp_"
    count_head: Mapping[str, str] = {"object": "response.input_tokens"}

    def parse(self, body: object, *, strategy_header: str | None = None) -> VotedRequest:
        return chat_request(body, strategy_header=strategy_header)

    def reply(self, request: VotedRequest, envelope: Envelope) -> Reply:
        return ResponsesReply(request.original, envelope)


class ResponsesReply:
    def __init__(self, asked: Mapping[str, Any], envelope: Envelope) -> None:
        self._asked = asked
        self._envelope = envelope
        self._output = Output()
        self._events = 0
        self._closed = False
        self._finish: str | None = None
        self._usage: object = None
        self._extra: dict[str, Any] = {}

    def whole(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> dict[str, Any]:
        for _ in self._say(answers[0]):
            pass
        return self._finished(swarm)

    def replay(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> Iterator[bytes]:
        yield self._begin()
        for event in self._say(answers[0]):
            yield self._event(*event)
        yield self._close(swarm)

    def live(self, batch: Iterable[bytes]) -> bytes:
        return b"".join([piece for data in batch for piece in self._pass(data)])

    def end(self) -> bytes:
        return b""

    def failed(self, error: LocalSwarmError) -> bytes:
        begun = self._begin()
        response = self._response("failed", error=error_body(error)["error"])
        return begun + self._event("failed", {"response": response})

    def _say(self, answer: Answer) -> Iterator[Event]:
        self._usage = usage_of([answer])
        self._finish = answer.finish_reason
        self._extra = {"timings": answer.timings} if answer.timings else {}
        logprobs = list(answer.logprobs.get("content") or ())
        for delta in deltas(answer):
            yield from self._output.take(delta, logprobs if "content" in delta else [])
            logprobs = [] if "content" in delta else logprobs  # all of them with its first piece

    def _pass(self, data: bytes) -> Iterator[bytes]:
        event = msgspec.json.decode(data)
        yield self._begin()
        for choice in event.get("choices") or ():
            logprobs = (choice.get("logprobs") or {}).get("content") or []
            for told in self._output.take(choice.get("delta") or {}, logprobs):
                yield self._event(*told)
            self._finish = choice.get("finish_reason") or self._finish
        self._usage = event.get("usage") or self._usage
        if event.get("timings"):
            self._extra = {"timings": event["timings"]}
        if "swarm" in event and not self._closed:
            self._closed = True
            yield self._close(event["swarm"])

    def _begin(self) -> bytes:
        """The first two events, once."""
        if self._events:
            return b""
        started = {"response": self._response("in_progress")}
        return self._event("created", started) + self._event("in_progress", started)

    def _close(self, swarm: dict[str, Any]) -> bytes:
        status = "incomplete" if self._finish in INCOMPLETE else "completed"
        ends = [self._event(*event) for event in self._output.close(status)]
        return b"".join([*ends, self._event(status, {"response": self._finished(swarm)})])

    def _event(self, name: str, fields: dict[str, Any]) -> bytes:
        kind = f"response.{name}"
        event = {"type": kind, "sequence_number": self._events, **fields}
        self._events += 1
        return encode_named(kind, event)

    def _finished(self, swarm: dict[str, Any]) -> dict[str, Any]:
        reason = INCOMPLETE.get(self._finish or "")
        status = "completed" if reason is None else "incomplete"
        return self._response(
            status,
            completed_at=int(time.time()) if reason is None else None,
            incomplete_details=None if reason is None else {"reason": reason},
            usage=_usage(self._usage),
            **self._extra,
            swarm=swarm,
        )

    def _response(self, status: str, **told: Any) -> dict[str, Any]:
        given = {key: self._asked[key] for key in ECHOED if self._asked.get(key) is not None}
        return {
            "id": self._envelope.id,
            "object": "response",
            "created_at": self._envelope.created,
            "status": status,
            "model": self._envelope.model,
            "output": self._items(status),
            "background": False,
            "error": None,
            "incomplete_details": None,
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **ECHOED,
            **given,
            **told,
        }

    def _items(self, status: str) -> list[dict[str, Any]]:
        """Where an answer was cut off, its last item is what is not complete."""
        items, last = self._output.items, len(self._output.items) - 1
        cut = status in ("incomplete", "failed")
        return [
            item.as_json("incomplete" if cut and i == last else "completed")
            for i, item in enumerate(items)
        ]


def _usage(usage: object) -> dict[str, Any]:
    tokens = Tokens.of(usage)
    return {
        "input_tokens": tokens.prompt,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.completion,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.prompt + tokens.completion,
    }

"""Answers written as Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from local_swarm.errors import LocalSwarmError
from local_swarm.wire.answer import Answer
from local_swarm.wire.errors import anthropic_error_body
from local_swarm.wire.family import (
    Envelope,
    Reply,
    Tokens,
    deltas,
    encode_named,
    new_id,
    usage_of,
)
from local_swarm.wire.messages_request import chat_request
from local_swarm.wire.request import VotedRequest

STOP_REASONS = {
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


class MessagesFamily:
    id_prefix = "msg_"
    count_head: Mapping[str, str] = {}

    def parse(self, body: object, *, strategy_header: str | None = None) -> VotedRequest:
        return chat_request(body, strategy_header=strategy_header)

    def reply(self, request: VotedRequest, envelope: Envelope) -> Reply:
        return MessagesReply(envelope)


def stop_reason(finish_reason: str | None, *, called: bool) -> str:
    """An engine does not tell which stop sequence ended it, so that is an end like any other."""
    return STOP_REASONS.get(finish_reason or "", "tool_use" if called else "end_turn")


class MessagesReply:
    """Chat deltas become content blocks, one after the other: whatever is said in another way than
    before begins a new one. A tool call's block is told apart by the call's index."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._begun = False
        self._blocks: dict[object, int] = {}  # of what is open or may come back
        self._open: object = None
        self._count = 0
        self._closed = False
        self._finish: str | None = None
        self._usage: object = None

    def whole(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> dict[str, Any]:
        answer = answers[0]
        return {
            **self._head(_usage(usage_of(answers[:1]))),
            "content": list(_content(answer)),
            "stop_reason": stop_reason(answer.finish_reason, called=bool(answer.tool_calls)),
            "swarm": swarm,
        }

    def replay(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> Iterator[bytes]:
        answer = answers[0]
        self._usage = usage_of(answers[:1])
        yield self._begin()
        for delta in deltas(answer):
            yield b"".join(self._take(_sound(delta)))
        self._finish = answer.finish_reason
        yield b"".join(self._close(swarm))

    def live(self, batch: Iterable[bytes]) -> bytes:
        return b"".join([piece for data in batch for piece in self._pass(data)])

    def end(self) -> bytes:
        return b""

    def failed(self, error: LocalSwarmError) -> bytes:
        return encode_named("error", anthropic_error_body(error))

    def _pass(self, data: bytes) -> Iterator[bytes]:
        event = msgspec.json.decode(data)
        self._usage = event.get("usage") or self._usage or _prompt_of(event.get("timings"))
        for choice in event.get("choices") or ():
            yield from self._take(choice.get("delta") or {})
            self._finish = choice.get("finish_reason") or self._finish
        if "swarm" in event and not self._closed:
            self._closed = True
            yield from self._close(event["swarm"])

    def _begin(self) -> bytes:
        """The first event, once. A live answer's prompt is known by its first token, the whole
        usage is told at the end."""
        if self._begun:
            return b""
        self._begun = True
        usage = {**_usage(self._usage), "output_tokens": 0}
        message = {**self._head(usage), "content": [], "stop_reason": None}
        return encode_named("message_start", {"type": "message_start", "message": message})

    def _head(self, usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self._envelope.id,
            "type": "message",
            "role": "assistant",
            "model": self._envelope.model,
            "stop_sequence": None,
            "usage": usage,
        }

    def _take(self, delta: dict[str, Any]) -> Iterator[bytes]:
        if any(delta.get(key) for key in ("reasoning_content", "content", "tool_calls")):
            yield self._begin()
        if thinking := delta.get("reasoning_content"):
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield self._switch("thinking", block)
            yield self._delta("thinking", {"type": "thinking_delta", "thinking": thinking})
        if text := delta.get("content"):
            yield self._switch("text", {"type": "text", "text": ""})
            yield self._delta("text", {"type": "text_delta", "text": text})
        for fragment in delta.get("tool_calls") or ():
            yield from self._take_call(fragment)

    def _take_call(self, fragment: dict[str, Any]) -> Iterator[bytes]:
        index, function = fragment.get("index", 0), fragment.get("function") or {}
        if index not in self._blocks:
            id_ = fragment.get("id") or new_id("toolu_")
            call = {"type": "tool_use", "id": id_, "name": function.get("name") or ""}
            yield self._switch(index, {**call, "input": {}})
        if arguments := function.get("arguments"):
            yield self._delta(index, {"type": "input_json_delta", "partial_json": arguments})

    def _switch(self, key: object, block: dict[str, Any]) -> bytes:
        """Makes this the open block. Texts that go on after something else are a new block."""
        if self._open == key:
            return b""
        stop = self._stop()
        self._open, self._blocks[key] = key, self._count
        self._count += 1
        start = {"type": "content_block_start", "index": self._blocks[key], "content_block": block}
        return stop + encode_named("content_block_start", start)

    def _delta(self, key: object, delta: dict[str, Any]) -> bytes:
        event = {"type": "content_block_delta", "index": self._blocks[key], "delta": delta}
        return encode_named("content_block_delta", event)

    def _stop(self) -> bytes:
        if self._open is None:
            return b""
        event = {"type": "content_block_stop", "index": self._blocks[self._open]}
        self._open = None
        return encode_named("content_block_stop", event)

    def _close(self, swarm: dict[str, Any]) -> Iterator[bytes]:
        yield self._begin()
        yield self._stop()
        called = any(isinstance(key, int) for key in self._blocks)
        reason = stop_reason(self._finish, called=called)
        event = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": _usage(self._usage),
            "swarm": swarm,
        }
        yield encode_named("message_delta", event)
        yield encode_named("message_stop", {"type": "message_stop"})


def _content(answer: Answer) -> Iterator[dict[str, Any]]:
    if thinking := "".join(answer.reasoning):
        yield {"type": "thinking", "thinking": thinking, "signature": ""}
    if text := answer.whole_text:
        yield {"type": "text", "text": text}
    for _, call in answer.calls():
        function = call["function"]
        tool_input = _object_in(function["arguments"]) or {}
        yield {"type": "tool_use", "id": call["id"], "name": function["name"], "input": tool_input}


def _object_in(arguments: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def _sound(delta: dict[str, Any]) -> dict[str, Any]:
    """Arguments that are no object are left out: this API has no place for them, and clients fail
    on a stream that brings them."""
    calls = delta.get("tool_calls") or ()
    if all(_object_in(call["function"]["arguments"]) is not None for call in calls):
        return delta
    return {"tool_calls": [{**c, "function": {**c["function"], "arguments": ""}} for c in calls]}


def _prompt_of(timings: object) -> dict[str, Any] | None:
    """The usage as far as a llama-server's timings tell it."""
    timings = timings if isinstance(timings, dict) else {}
    read, cached = timings.get("prompt_n"), timings.get("cache_n")
    if not isinstance(read, int) or not isinstance(cached, int):
        return None
    return {"prompt_tokens": read + cached, "prompt_tokens_details": {"cached_tokens": cached}}


def _usage(usage: object) -> dict[str, Any]:
    """Anthropic counts what was found in the cache apart."""
    tokens = Tokens.of(usage)
    return {
        "input_tokens": tokens.prompt - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.completion,
    }

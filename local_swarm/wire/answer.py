"""A worker's streamed choices put together, and one of them written out for a client.

`Assembly` takes the events of one upstream stream and builds one `Answer` per choice index;
`completion` and `chunks` write an answer as a chat completion object or as stream events.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.wire.sse import DONE, encode_event

MERGE_BYTES = 512


@dataclass(slots=True)
class ToolCallParts:
    """A tool call as its fragments arrive; `extra` keeps fields we do not know."""

    id: str = ""
    type: str = "function"
    name: str = ""
    arguments: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The whole call. Clients need an id: where the engine gave none, one is made up."""
        self.id = self.id or f"call_{secrets.token_hex(12)}"
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {**self.extra, "id": self.id, "type": self.type, "function": function}


@dataclass(slots=True)
class Answer:
    """One choice. Complete when `finish_reason` is set."""

    worker: str = ""
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, ToolCallParts] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)  # fields of the delta we do not know
    logprobs: list[Any] = field(default_factory=list)
    finish_reason: str | None = None
    completion_tokens: int | None = None
    elapsed_s: float = 0.0
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    fingerprint: str | None = None

    def candidate(self) -> Candidate:
        calls = (c for _, c in sorted(self.tool_calls.items()))
        return Candidate(
            text="".join(self.text),
            tool_calls=tuple(ToolCall(c.id, c.name, "".join(c.arguments)) for c in calls),
            reasoning="".join(self.reasoning),
            finish_reason=self.finish_reason,
            worker=self.worker,
            elapsed_s=self.elapsed_s,
            completion_tokens=self.completion_tokens,
        )

    def _take_delta(self, delta: dict[str, Any]) -> None:
        for key, value in delta.items():
            if value is None or key == "role":
                continue
            if key == "content":
                self.text.append(str(value))
            elif key == "reasoning_content":
                self.reasoning.append(str(value))
            elif key == "tool_calls":
                for call in _list(value):
                    if isinstance(call, dict):
                        self._take_call(call)
            else:
                _join(self.extra, key, value)

    def _take_call(self, fragment: dict[str, Any]) -> None:
        index = fragment.get("index")
        index = index if isinstance(index, int) else len(self.tool_calls)
        call = self.tool_calls.setdefault(index, ToolCallParts())
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        call.id = str(fragment.get("id") or call.id)
        call.type = str(fragment.get("type") or call.type)
        call.name = str(function.get("name") or call.name)
        if arguments := function.get("arguments"):
            call.arguments.append(str(arguments))
        for key in fragment.keys() - {"index", "id", "type", "function"}:
            _join(call.extra, key, fragment[key])


def _join(fields: dict[str, Any], key: str, value: Any) -> None:
    """A field we do not know: pieces of text are one text, of anything else the last counts."""
    before = fields.get(key)
    both_text = isinstance(before, str) and isinstance(value, str)
    fields[key] = before + value if both_text else value


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class Assembly:
    """Builds the answers of one upstream stream, which may interleave several choices."""

    def __init__(self, worker: str, choices: int) -> None:
        self.answers = [Answer(worker=worker) for _ in range(choices)]
        self._without_usage: list[Answer] = []  # finished ones, in the order they finished

    @property
    def complete(self) -> bool:
        return all(answer.finish_reason for answer in self.answers)

    def take(self, event: dict[str, Any], elapsed_s: float) -> None:
        """Adds one event. Fields that are not as OpenAI has them are left out, never fatal."""
        for choice in _list(event.get("choices")):
            if not isinstance(choice, dict):
                continue
            index = choice.get("index", 0)
            if not isinstance(index, int) or not 0 <= index < len(self.answers):
                continue
            answer = self.answers[index]
            answer.fingerprint = event.get("system_fingerprint") or answer.fingerprint
            if isinstance(delta := choice.get("delta"), dict):
                answer._take_delta(delta)
            if isinstance(logprobs := choice.get("logprobs"), dict):
                answer.logprobs.extend(_list(logprobs.get("content")))
            if finish := choice.get("finish_reason"):
                answer.finish_reason = str(finish)
                answer.elapsed_s = elapsed_s
                self._without_usage.append(answer)
        self._take_usage(event)

    def _take_usage(self, event: dict[str, Any]) -> None:
        """Each choice sends its own usage right after its finish; it names no index."""
        usage = event.get("usage")
        if not isinstance(usage, dict) or not self._without_usage:
            return
        answer = self._without_usage.pop(0)
        answer.usage = usage
        timings = event.get("timings")
        answer.timings = timings if isinstance(timings, dict) else None
        tokens = usage.get("completion_tokens")
        answer.completion_tokens = tokens if isinstance(tokens, int) else None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds the answer: one id for all of a stream, the model's public name, facts of
    the vote."""

    id: str
    created: int
    model: str
    swarm: dict[str, Any]


def completion(answers: list[Answer], envelope: Envelope) -> dict[str, Any]:
    """The chat completion object; `answers[i]` becomes choice i."""
    body: dict[str, Any] = {
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": [_choice(i, answer) for i, answer in enumerate(answers)],
        "usage": _usage(answers),
        "swarm": envelope.swarm,
    }
    if answers[0].fingerprint:
        body["system_fingerprint"] = answers[0].fingerprint
    if answers[0].timings:
        body["timings"] = answers[0].timings
    return body


def _choice(index: int, answer: Answer) -> dict[str, Any]:
    calls = [call.as_json() for _, call in sorted(answer.tool_calls.items())]
    text = "".join(answer.text)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if calls and not text else text,
        **answer.extra,
    }
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if calls:
        message["tool_calls"] = calls
    choice = {"index": index, "message": message, "finish_reason": answer.finish_reason}
    if answer.logprobs:
        choice["logprobs"] = {"content": answer.logprobs}
    return choice


def _usage(answers: list[Answer]) -> dict[str, Any]:
    """The prompt once, and what the returned answers took."""
    usage = dict(answers[0].usage or {})
    prompt = usage.get("prompt_tokens", 0)
    completion_tokens = sum(a.completion_tokens or 0 for a in answers)
    usage.update(
        prompt_tokens=prompt,
        completion_tokens=completion_tokens,
        total_tokens=prompt + completion_tokens,
    )
    return usage


def chunks(answers: list[Answer], envelope: Envelope, *, include_usage: bool) -> Iterator[bytes]:
    """The answers replayed as stream events: for each role, reasoning, content merged to line
    ends or MERGE_BYTES, one whole fragment per tool call, finish; then usage when asked, and
    [DONE]. The vote's facts are in the last event before [DONE].
    """
    last = len(answers) - 1
    for index, answer in enumerate(answers):
        yield _chunk(envelope, answer, index, {"role": "assistant", "content": None})
        for piece in _merged(answer.reasoning):
            yield _chunk(envelope, answer, index, {"reasoning_content": piece})
        for piece in _merged(answer.text):
            yield _chunk(envelope, answer, index, {"content": piece})
        for i, call in sorted(answer.tool_calls.items()):
            yield _chunk(envelope, answer, index, {"tool_calls": [{"index": i, **call.as_json()}]})
        top = {"swarm": envelope.swarm} if index == last and not include_usage else {}
        yield _chunk(envelope, answer, index, dict(answer.extra), finish=True, **top)
    if include_usage:
        head = _head(envelope, answers[0])
        closing: dict[str, Any] = {"choices": [], "usage": _usage(answers), "swarm": envelope.swarm}
        if answers[0].timings:
            closing["timings"] = answers[0].timings
        yield encode_event(msgspec.json.encode({**head, **closing}))
    yield encode_event(DONE)


def _head(envelope: Envelope, answer: Answer) -> dict[str, Any]:
    head = {
        "id": envelope.id,
        "object": "chat.completion.chunk",
        "created": envelope.created,
        "model": envelope.model,
    }
    if answer.fingerprint:
        head["system_fingerprint"] = answer.fingerprint
    return head


def _chunk(
    envelope: Envelope,
    answer: Answer,
    index: int,
    delta: dict[str, Any],
    *,
    finish: bool = False,
    **top: Any,
) -> bytes:
    choice: dict[str, Any] = {
        "index": index,
        "delta": delta,
        "finish_reason": answer.finish_reason if finish else None,
    }
    if finish and answer.logprobs:
        choice["logprobs"] = {"content": answer.logprobs}
    return encode_event(
        msgspec.json.encode({**_head(envelope, answer), "choices": [choice], **top})
    )


def _merged(pieces: list[str]) -> Iterator[str]:
    """The pieces joined up to a line end or MERGE_BYTES, so that a replay is few events."""
    pending: list[str] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if piece.endswith("\n") or size >= MERGE_BYTES:
            yield "".join(pending)
            pending, size = [], 0
    if pending and size:
        yield "".join(pending)

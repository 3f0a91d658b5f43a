"""Answers written as OpenAI's choices: chat completions, and completions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import msgspec

from local_swarm.errors import LocalSwarmError
from local_swarm.wire.answer import Answer
from local_swarm.wire.chat import ChatRequest
from local_swarm.wire.completions import CompletionRequest
from local_swarm.wire.errors import error_event
from local_swarm.wire.family import Envelope, Reply, deltas, merged, usage_of
from local_swarm.wire.request import VotedRequest
from local_swarm.wire.sse import DONE, encode_event, encode_events


class ChatFamily:
    id_prefix = "chatcmpl-"

    def parse(self, body: object, *, strategy_header: str | None = None) -> VotedRequest:
        return ChatRequest.parse(body, strategy_header=strategy_header)

    def reply(self, request: VotedRequest, envelope: Envelope) -> Reply:
        return ChatReply(envelope, include_usage=request.include_usage)


class CompletionFamily:
    id_prefix = "cmpl-"

    def parse(self, body: object, *, strategy_header: str | None = None) -> VotedRequest:
        return CompletionRequest.parse(body, strategy_header=strategy_header)

    def reply(self, request: VotedRequest, envelope: Envelope) -> Reply:
        assert isinstance(request, CompletionRequest)
        return CompletionReply(envelope, request)


class ChoicesReply(ABC):
    """A worker's own events are the client's, so a live stream passes as it is."""

    whole_object: ClassVar[str]
    chunk_object: ClassVar[str]

    def __init__(self, envelope: Envelope, *, include_usage: bool) -> None:
        self._envelope = envelope
        self._include_usage = include_usage

    @abstractmethod
    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        """What the answer says, as a choice."""

    @abstractmethod
    def _pieces(self, index: int, answer: Answer) -> Iterator[dict[str, Any]]:
        """The same as parts of stream choices, without the last."""

    @abstractmethod
    def _last(self, answer: Answer) -> dict[str, Any]:
        """The part of the choice that finishes."""

    def _usage(self, answers: Sequence[Answer]) -> dict[str, Any]:
        return usage_of(answers)

    def whole(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> dict[str, Any]:
        choices = [
            _finished(i, answer, self._choice(i, answer)) for i, answer in enumerate(answers)
        ]
        return {
            **self._head(self.whole_object, answers[0]),
            "choices": choices,
            "usage": self._usage(answers),
            **_timings(answers[0]),
            "swarm": swarm,
        }

    def replay(self, answers: Sequence[Answer], swarm: dict[str, Any]) -> Iterator[bytes]:
        """For each answer its pieces and its finish; then usage when asked, and [DONE]."""
        for index, answer in enumerate(answers):
            for piece in self._pieces(index, answer):
                yield self._chunk(answer, {"index": index, **piece, "finish_reason": None})
            last = index == len(answers) - 1 and not self._include_usage
            choice = _finished(index, answer, self._last(answer))
            yield self._chunk(answer, choice, **({"swarm": swarm} if last else {}))
        if self._include_usage:
            closing = {"choices": [], "usage": self._usage(answers), **_timings(answers[0])}
            head = self._head(self.chunk_object, answers[0])
            yield encode_event(msgspec.json.encode({**head, **closing, "swarm": swarm}))
        yield self.end()

    def live(self, batch: Iterable[bytes]) -> bytes:
        return encode_events(batch)

    def end(self) -> bytes:
        return encode_event(DONE)

    def failed(self, error: LocalSwarmError) -> bytes:
        return error_event(error)

    def _head(self, name: str, answer: Answer) -> dict[str, Any]:
        head: dict[str, Any] = {
            "id": self._envelope.id,
            "object": name,
            "created": self._envelope.created,
            "model": self._envelope.model,
        }
        if answer.fingerprint:
            head["system_fingerprint"] = answer.fingerprint
        return head

    def _chunk(self, answer: Answer, choice: dict[str, Any], **top: Any) -> bytes:
        head = self._head(self.chunk_object, answer)
        return encode_event(msgspec.json.encode({**head, "choices": [choice], **top}))


class ChatReply(ChoicesReply):
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        calls = [call for _, call in answer.calls()]
        text = answer.whole_text
        content = None if calls and not text else text
        message: dict[str, Any] = {"role": "assistant", "content": content, **answer.extra}
        if reasoning := "".join(answer.reasoning):
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = calls
        return {"message": message}

    def _pieces(self, index: int, answer: Answer) -> Iterator[dict[str, Any]]:
        yield {"delta": {"role": "assistant", "content": None}}
        for delta in deltas(answer):
            yield {"delta": delta}

    def _last(self, answer: Answer) -> dict[str, Any]:
        return {"delta": dict(answer.extra)}


class CompletionReply(ChoicesReply):
    whole_object = chunk_object = "text_completion"

    def __init__(self, envelope: Envelope, request: CompletionRequest) -> None:
        super().__init__(envelope, include_usage=request.include_usage)
        self._prompts = request.prompts
        self._echoes = request.prompts if request.echo else []
        self._begun = False

    def live(self, batch: Iterable[bytes]) -> bytes:
        batch = list(batch)
        if self._begun or not batch or not self._echoes:
            return super().live(batch)
        self._begun = True
        first = msgspec.json.decode(batch[0])
        choice = {"index": 0, "text": self._echoes[0], "logprobs": None, "finish_reason": None}
        echo = {key: first[key] for key in ("id", "object", "created", "model") if key in first}
        return super().live([msgspec.json.encode({**echo, "choices": [choice]}), *batch])

    def _usage(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """With several prompts each answer has one of its own."""
        if len(self._prompts) == 1:
            return usage_of(answers)
        usages = [usage_of([answer]) for answer in answers]
        keys = ("prompt_tokens", "completion_tokens", "total_tokens")
        return {key: sum(usage[key] for usage in usages) for key in keys}

    def _choice(self, index: int, answer: Answer) -> dict[str, Any]:
        return {"text": self._echo(index) + answer.whole_text, "logprobs": None}

    def _echo(self, index: int) -> str:
        """What goes before a choice: its own prompt, of one prompt all choices' one."""
        several = len(self._echoes) > 1
        return self._echoes[index if several else 0] if self._echoes else ""

    def _pieces(self, index: int, answer: Answer) -> Iterator[dict[str, Any]]:
        for text in merged([self._echo(index), *answer.text]):
            yield {"text": text, "logprobs": None}

    def _last(self, answer: Answer) -> dict[str, Any]:
        return {"text": "", "logprobs": None}


def _finished(index: int, answer: Answer, said: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": index, **said, "finish_reason": answer.finish_reason}
    if answer.logprobs:
        choice["logprobs"] = answer.logprobs
    return choice


def _timings(answer: Answer) -> dict[str, Any]:
    return {"timings": answer.timings} if answer.timings else {}

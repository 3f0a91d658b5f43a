"""A worker's streamed choices put together: of chat completions, and of completions.

`Assembly` takes the events of one upstream stream and builds one `Answer` per choice index. How an
answer is written out for a client is the business of its API (`wire/family.py`).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.wire.certainty import logprobs_in, mean_and_lowest


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
    """One choice. Complete when `finish_reason` is set. `logprobs` is what the engine told the
    client that asked for it, `token_logprobs` of each token what it told at all."""

    worker: str = ""
    model: str = ""
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tool_calls: dict[int, ToolCallParts] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)  # fields of the delta we do not know
    logprobs: dict[str, Any] = field(default_factory=dict)
    token_logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None
    completion_tokens: int | None = None
    elapsed_s: float = 0.0
    usage: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None
    fingerprint: str | None = None

    def candidate(self) -> Candidate:
        calls = (c for _, c in sorted(self.tool_calls.items()))
        mean, lowest = mean_and_lowest(self.token_logprobs) or (None, None)
        return Candidate(
            text="".join(self.text),
            tool_calls=tuple(ToolCall(c.id, c.name, "".join(c.arguments)) for c in calls),
            reasoning="".join(self.reasoning),
            finish_reason=self.finish_reason,
            worker=self.worker,
            elapsed_s=self.elapsed_s,
            completion_tokens=self.completion_tokens,
            model=self.model,
            mean_logprob=mean,
            lowest_logprob=lowest,
        )

    @property
    def whole_text(self) -> str:
        return "".join(self.text)

    def calls(self) -> list[tuple[int, dict[str, Any]]]:
        """The tool calls with their indices, in order."""
        return [(index, call.as_json()) for index, call in sorted(self.tool_calls.items())]

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


def _join_lists(fields: dict[str, Any], more: dict[str, Any]) -> None:
    """What an engine tells of each token, in one list or several."""
    for key, value in more.items():
        before = fields.get(key)
        both = isinstance(before, list) and isinstance(value, list)
        fields[key] = before + value if both else value if value is not None else before


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class Assembly:
    """Builds the answers of one upstream stream, which may interleave several choices. `hides`: the
    client did not ask for the log-probabilities that the engine tells."""

    def __init__(
        self, worker: str, choices: int, *, model: str = "", hides_logprobs: bool = False
    ) -> None:
        self.answers = [Answer(worker=worker, model=model) for _ in range(choices)]
        self._hides_logprobs = hides_logprobs
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
            if isinstance(text := choice.get("text"), str):
                answer.text.append(text)
            if isinstance(logprobs := choice.get("logprobs"), dict):
                answer.token_logprobs.extend(logprobs_in(logprobs))
                if not self._hides_logprobs:
                    _join_lists(answer.logprobs, logprobs)
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

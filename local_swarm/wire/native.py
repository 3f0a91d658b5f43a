"""llama-server's own completions (/completion, /infill): a stream's events as one plain answer.

A worker notices a client that leaves only while it streams, so it is always asked for a stream.
The last event of each choice holds everything but what came piece by piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PIECES = "completion_probabilities"


@dataclass(slots=True)
class Choice:
    content: list[str] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)
    probabilities: list[Any] = field(default_factory=list)
    final: dict[str, Any] | None = None

    def take(self, event: dict[str, Any], *, final: bool) -> None:
        if isinstance(text := event.get("content"), str):
            self.content.append(text)
        if isinstance(tokens := event.get("tokens"), list):
            self.tokens.extend(tokens)
        if isinstance(pieces := event.get(PIECES), list):
            self.probabilities.extend(pieces)
        if final:
            self.final = event

    def body(self, *, return_tokens: bool) -> dict[str, Any]:
        """As the worker would have answered without a stream."""
        body = dict(self.final or {})
        if "content" in body:
            body["content"] = "".join(self.content)
        if "tokens" in body:
            body["tokens"] = self.tokens if return_tokens else []
        if self.probabilities:
            body[PIECES] = self.probabilities
        settings = body.get("generation_settings")
        if isinstance(settings, dict) and "stream" in settings:
            body["generation_settings"] = {**settings, "stream": False}
        if "generation_settings/stream" in body:
            body["generation_settings/stream"] = False
        return body


class Joined:
    """Takes the events of one stream. `drop_index`: the client's `response_fields` name no index,
    which the worker was asked for all the same (see `fields_asked`)."""

    def __init__(self, *, return_tokens: bool = False, drop_index: bool = False) -> None:
        self._return_tokens = return_tokens
        self._drop_index = drop_index
        self._choices: dict[int, Choice] = {}

    def take(self, event: dict[str, Any]) -> None:
        index = event.get("index")
        choice = self._choices.setdefault(index if isinstance(index, int) else 0, Choice())
        choice.take(event, final=event.get("stop") is not False)

    @property
    def complete(self) -> bool:
        return bool(self._choices) and all(c.final is not None for c in self._choices.values())

    @property
    def completion_tokens(self) -> int:
        finals = (choice.final or {} for choice in self._choices.values())
        counts = [final.get("tokens_predicted") for final in finals]
        return sum(count for count in counts if isinstance(count, int))

    def body(self) -> dict[str, Any] | list[dict[str, Any]]:
        """One object, or a list where there are several choices, as llama-server does."""
        bodies = [
            choice.body(return_tokens=self._return_tokens)
            for _, choice in sorted(self._choices.items())
        ]
        if self._drop_index:
            for body in bodies:
                body.pop("index", None)
        return bodies[0] if len(bodies) == 1 else bodies


def fields_asked(response_fields: object) -> list[str] | None:
    """The client's `response_fields` with the index that tells the choices apart; None where it
    lists none, or no index is missing."""
    if not isinstance(response_fields, list) or not response_fields or "index" in response_fields:
        return None
    return [*response_fields, "index"]

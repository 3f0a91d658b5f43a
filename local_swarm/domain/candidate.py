"""One voter's answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks the client to make; `arguments` is the JSON text it wrote."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one slot answered. `elapsed_s` counts from the moment the request was sent to it.

    `model` is the name of the model that wrote it (its voters' skill goes by that). Where the
    engine tells log-probabilities: their mean over the answer's tokens, and the mean of its least
    certain window (natural logarithms, at most 0).
    """

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: str = ""
    finish_reason: str | None = None
    worker: str = ""
    elapsed_s: float = 0.0
    completion_tokens: int | None = None
    model: str = ""
    mean_logprob: float | None = None
    lowest_logprob: float | None = None

"""The OpenAI chat completion request as a typed view over the client's own JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_swarm.errors import InvalidRequest
from local_swarm.wire.media import refuse_remote_media

MAX_SAMPLES = 32
OWNED = frozenset({"swarm", "id_slot", "n", "n_cmpl"})
"""What the swarm decides and a worker must not hear from the client; n_cmpl is llama-server's n."""
SAMPLING_KEYS = ("temperature", "top_p", "top_k", "min_p", "dynatemp_range", "mirostat", "samplers")
"""Where a client sets any of these, the swarm adds no temperature of its own."""


@dataclass(frozen=True, slots=True)
class SwarmOptions:
    """The `swarm` object of a request: what the client asks of the vote. None: not said."""

    strategy: str | None = None
    samples: int | None = None
    quorum: int | None = None
    stream: str | None = None
    include_candidates: bool = False


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`body` is the client's JSON and is never changed; the other fields are read from it."""

    body: Mapping[str, Any]
    model: str
    messages: list[Mapping[str, Any]]
    stream: bool
    include_usage: bool
    n: int
    temperature: float | None
    seed: int | None
    swarm: SwarmOptions

    @classmethod
    def parse(cls, body: object, *, strategy_header: str | None = None) -> ChatRequest:
        """Checks what the gateway acts on; everything else is the worker's to judge.

        Raises InvalidRequest naming the field.
        """
        if not isinstance(body, dict):
            raise InvalidRequest("The body must be a JSON object.")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise InvalidRequest(
                "messages must be a list with at least one message.", param="messages"
            )
        for i, message in enumerate(messages):
            if not isinstance(message, dict):
                raise InvalidRequest(f"messages[{i}] must be an object.", param="messages")
            refuse_remote_media(message.get("content"), f"messages[{i}].content")
        _check_tools(body.get("tools"))
        options = _object(body, "stream_options")
        return cls(
            body=body,
            model=_optional(body, "model", str) or "",
            messages=messages,
            stream=bool(_optional(body, "stream", bool)),
            include_usage=bool(_optional(options, "include_usage", bool)),
            n=_integer(body, "n", 1, 1, 128) or 1,
            temperature=_number(body, "temperature"),
            seed=_integer(body, "seed", None, -(2**63), 2**63 - 1),
            swarm=_swarm(_object(body, "swarm"), strategy_header),
        )

    @property
    def prompt(self) -> str:
        """The text of the last user message: what the answers are answers to."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return text_of(message.get("content"))
        return text_of(self.messages[-1].get("content"))

    @property
    def conversation(self) -> str:
        """The same for every turn of a conversation: a hash of its opening."""
        opening = []
        for message in self.messages[:3]:
            opening.append(f"{message.get('role')}\0{text_of(message.get('content'))}")
            if message.get("role") == "user":
                break
        return hashlib.sha256("\0\0".join(opening).encode("utf-8", "surrogatepass")).hexdigest()

    def upstream_body(
        self, *, model: str, n: int, slot: int | None, seed_offset: int, temperature: float | None
    ) -> dict[str, Any]:
        """What one worker is asked: the client's JSON with what the swarm owns put in its place.

        Always a stream with usage: a worker notices a client that leaves only when it streams.
        `temperature` is set where the client set no sampling of its own; a client's seed becomes
        seed + `seed_offset`, so that the whole vote can be repeated.
        """
        body = {k: v for k, v in self.body.items() if k not in OWNED}
        body["model"] = model
        body["stream"] = True
        body["stream_options"] = {**_object(self.body, "stream_options"), "include_usage": True}
        if n > 1:
            body["n"] = n
        if slot is not None:
            body["id_slot"] = slot
        if self.seed is not None and self.seed >= 0:
            body["seed"] = (self.seed + seed_offset) % 2**32
        if temperature is not None and not any(k in self.body for k in SAMPLING_KEYS):
            body["temperature"] = temperature
        return body


def text_of(content: object) -> str:
    """The text in a message's content: a string, or a list of parts; "" for anything else."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (p.get("text") for p in content if isinstance(p, dict))
        return "\n".join(t for t in parts if isinstance(t, str))
    return ""


def _check_tools(tools: object) -> None:
    if tools is None or (isinstance(tools, list) and all(isinstance(t, dict) for t in tools)):
        return
    raise InvalidRequest("tools must be a list of objects.", param="tools")


def _swarm(options: dict[str, Any], strategy_header: str | None) -> SwarmOptions:
    stream = _optional(options, "stream", str, "swarm.stream")
    if stream not in (None, "vote", "leader"):
        raise InvalidRequest('swarm.stream must be "vote" or "leader".', param="swarm.stream")
    return SwarmOptions(
        strategy=_optional(options, "strategy", str, "swarm.strategy") or strategy_header,
        samples=_integer(options, "samples", None, 1, MAX_SAMPLES, "swarm.samples"),
        quorum=_integer(options, "quorum", None, 1, MAX_SAMPLES, "swarm.quorum"),
        stream=stream,
        include_candidates=bool(
            _optional(options, "include_candidates", bool, "swarm.include_candidates")
        ),
    )


_JSON_NAMES = {str: "a string", bool: "true or false", dict: "an object"}


def _optional(body: Mapping[str, Any], key: str, kind: type, name: str = "") -> Any:
    value = body.get(key)
    if value is not None and not isinstance(value, kind):
        name = name or key
        raise InvalidRequest(f"{name} must be {_JSON_NAMES[kind]}.", param=name)
    return value


def _object(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    return _optional(body, key, dict) or {}


def _integer(
    body: Mapping[str, Any], key: str, default: int | None, low: int, high: int, name: str = ""
) -> int | None:
    value = body.get(key)
    if value is None:
        return default
    name = name or key
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}.", param=name)
    return value


def _number(body: Mapping[str, Any], key: str) -> float | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequest(f"{key} must be a number.", param=key)
    return float(value)

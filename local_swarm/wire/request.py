"""What every voted request has, whatever API it came in by: a typed view over JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from local_swarm.domain.rules import Rules
from local_swarm.errors import InvalidRequest

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
    adaptive: bool | None = None


@dataclass(frozen=True, slots=True)
class VotedRequest(ABC):
    """`original` is the client's JSON, `body` what a worker is asked with, for `path`; they are
    the same where the worker speaks the client's API. Neither is ever changed.

    The other fields are read from the body. `include_usage`: the client's stream tells the usage.
    """

    original: Mapping[str, Any]
    body: Mapping[str, Any]
    model: str
    stream: bool
    include_usage: bool
    n: int
    temperature: float | None
    seed: int | None
    swarm: SwarmOptions

    path: ClassVar[str]

    @property
    @abstractmethod
    def prompt(self) -> str:
        """The text that the answers are answers to."""

    @property
    @abstractmethod
    def conversation(self) -> str:
        """The same for every turn of a conversation: a hash of its opening."""

    def parts(self) -> Sequence[VotedRequest]:
        """The request itself, or those that it is made of: each has an answer of its own."""
        return (self,)

    def rules(self) -> Rules:
        """What the request asks of its answer's form. Raises InvalidRequest where no answer could
        follow."""
        return Rules()

    def upstream_body(
        self, *, model: str, n: int, slot: int | None, seed_offset: int, temperature: float | None
    ) -> dict[str, Any]:
        """What one worker is asked: the body with what the swarm owns put in its place.

        Always a stream with usage: a worker notices a client that leaves only when it streams.
        `temperature` is set where the client set no sampling of its own; a client's seed becomes
        seed + `seed_offset`, so that the whole vote can be repeated.
        """
        body = {k: v for k, v in self.body.items() if k not in OWNED}
        body["model"] = model
        body["stream"] = True
        body["stream_options"] = {**object_of(self.body, "stream_options"), "include_usage": True}
        if n > 1:
            body["n"] = n
        if slot is not None:
            body["id_slot"] = slot
        if self.seed is not None:
            body["seed"] = (self.seed + seed_offset) % 2**32
        sampled = any(self.body.get(key) is not None for key in SAMPLING_KEYS)
        if temperature is not None and not sampled:
            body["temperature"] = temperature
        return body


def common_fields(
    body: Mapping[str, Any], original: Mapping[str, Any], strategy_header: str | None
) -> dict[str, Any]:
    """The fields of a VotedRequest that all APIs have alike. Raises InvalidRequest."""
    options = object_of(body, "stream_options")
    return {
        "original": original,
        "body": body,
        "model": optional(body, "model", str) or "",
        "stream": bool(optional(body, "stream", bool)),
        "include_usage": bool(optional(options, "include_usage", bool)),
        "n": integer(body, "n", 1, 1, 128) or 1,
        "temperature": number(body, "temperature"),
        "seed": _seed(body),
        "swarm": _swarm(object_of(body, "swarm"), strategy_header),
    }


def _seed(body: Mapping[str, Any]) -> int | None:
    """None also for a negative one, with which clients ask llama-server for chance."""
    seed = integer(body, "seed", None, -(2**63), 2**63 - 1)
    return None if seed is None or seed < 0 else seed


def json_object(body: object) -> dict[str, Any]:
    """Raises InvalidRequest for a body that is anything else."""
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return body


def _swarm(options: dict[str, Any], strategy_header: str | None) -> SwarmOptions:
    stream = optional(options, "stream", str, "swarm.stream")
    if stream not in (None, "vote", "leader"):
        raise InvalidRequest('swarm.stream must be "vote" or "leader".', param="swarm.stream")
    return SwarmOptions(
        strategy=optional(options, "strategy", str, "swarm.strategy") or strategy_header,
        samples=integer(options, "samples", None, 1, MAX_SAMPLES, "swarm.samples"),
        quorum=integer(options, "quorum", None, 1, MAX_SAMPLES, "swarm.quorum"),
        stream=stream,
        include_candidates=bool(
            optional(options, "include_candidates", bool, "swarm.include_candidates")
        ),
        adaptive=optional(options, "adaptive", bool, "swarm.adaptive"),
    )


_JSON_NAMES = {str: "a string", bool: "true or false", dict: "an object", list: "a list"}


def optional(body: Mapping[str, Any], key: str, kind: type, name: str = "") -> Any:
    """The value, None where there is none. Raises InvalidRequest for one of another kind."""
    value = body.get(key)
    if value is not None and not isinstance(value, kind):
        name = name or key
        raise InvalidRequest(f"{name} must be {_JSON_NAMES[kind]}.", param=name)
    return value


def object_of(body: Mapping[str, Any], key: str, name: str = "") -> dict[str, Any]:
    return optional(body, key, dict, name) or {}


def objects_of(body: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects, empty where there is none. Raises InvalidRequest for anything else."""
    values = optional(body, key, list) or []
    if not all(isinstance(value, dict) for value in values):
        raise InvalidRequest(f"{key} must be a list of objects.", param=key)
    return list(values)


def integer(
    body: Mapping[str, Any], key: str, default: int | None, low: int, high: int, name: str = ""
) -> int | None:
    value = body.get(key)
    if value is None:
        return default
    name = name or key
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}.", param=name)
    return value


def number(body: Mapping[str, Any], key: str) -> float | None:
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequest(f"{key} must be a number.", param=key)
    try:
        return float(value)
    except OverflowError as exc:
        raise InvalidRequest(f"{key} is too large a number.", param=key) from exc

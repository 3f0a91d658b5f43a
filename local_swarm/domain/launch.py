"""How a worker is started, as data: an engine returns it, the supervisor runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from local_swarm.domain.memory import MIB


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine's server can do, and takes; the gateway adapts to it and never asks which it
    is."""

    slots: bool = True  # GET /slots tells what each slot does
    n: bool = True  # one request may ask for several choices
    id_slot: bool = True  # a request may name the slot it wants
    logprobs: bool = True
    tools: bool = True
    metrics: bool = True
    tokens: bool = True  # it counts a chat's tokens, and knows /tokenize and /apply-template
    cancellation: bool = True  # closing a streamed connection stops the work
    slot_files: bool = True  # it writes a slot's prompt to a file, and reads it again
    # What a plan must know.
    parallel: bool = True  # a worker can have several slots
    prompt_cache: bool = True  # prompts and checkpoints of slots are kept in RAM
    experts_in_ram: bool = True  # experts can stay in RAM with the other layers on an accelerator
    process_bytes: int = 24 * MIB  # of a child besides what it prints, for its program


@dataclass(frozen=True, slots=True)
class SlotFiles:
    """The directory in which a worker keeps what its slots hold, for lives of the same `identity`:
    the same engine with the same model and settings."""

    directory: str
    identity: str


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """argv, what to add to the environment, and how to see that it is ready.

    Secrets travel in `env`, never in `argv`. Readiness is a 200 from GET `ready_path`.
    `slot_files` is None where its slots cannot be saved.
    """

    engine: str
    argv: tuple[str, ...]
    host: str
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/health"
    capabilities: Capabilities = field(default_factory=Capabilities)
    slot_files: SlotFiles | None = None

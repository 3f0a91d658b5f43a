"""What a setting needs when it changes while a swarm runs. One table; a test holds it complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from msgspec import structs

from local_swarm.config.schema import Config
from local_swarm.config.settings import SETTINGS


class Effect(str, Enum):
    """How far a change reaches."""

    LIVE = "live"
    """It holds from the next request on; no worker is restarted."""
    PLAN = "plan"
    """The swarm plans anew; workers that come out different are restarted."""
    RESTART = "restart"
    """It stays as it is until the swarm itself is stopped and started."""


_TABLE: Mapping[Effect, Mapping[str, str]] = {
    Effect.LIVE: {
        "server": "api_keys unknown_model max_body_bytes max_tokens max_schema_bytes"
        " max_connections idle_timeout_s body_timeout_s keepalive_s first_byte_s max_queue"
        " allowed_hosts",
        "swarm": "strategy quorum timeout_s stop_timeout_s idle_unload_s min_workers temperature"
        " temperature_spread straggler_factor adaptive first_voters",
        "consensus": "execute sure logprobs embeddings_url embeddings_model embeddings_key",
        "supervisor": "restart_budget swarm_restart_budget restart_window_s backoff_initial_s"
        " backoff_max_s stable_s start_timeout_s term_grace_s half_open_s drain_timeout_s"
        " hang_timeout_s stall_timeout_s memory_watch min_free_bytes relief_s",
        "logs": "level prompts access",
    },
    Effect.PLAN: {
        "swarm": "voters layout workers slots ctx threads devices gpu_layers tensor_split",
        "models": "preferred cache_dir mmproj draft",
        "hardware": "ram_fraction gpu_memory_fraction reserve_bytes",
        "engine": "name path args api_key cache_ram_mib ctx_checkpoints",
    },
    Effect.RESTART: {
        "server": "host port",
        "engine": "keep_slots",
        "federation": "enabled",
        "supervisor": "log_lines",
        "logs": "dir max_bytes backups",
    },
}

EFFECTS: Mapping[str, Effect] = {
    f"{section}.{key}": effect
    for effect, sections in _TABLE.items()
    for section, keys in sections.items()
    for key in keys.split()
}
"""By `section.key`."""


def changed(old: Config, new: Config) -> tuple[str, ...]:
    """The settings (`section.key`) that differ, in the order of the schema."""
    return tuple(name for name in SETTINGS if value(old, name) != value(new, name))


def value(config: Config, name: str) -> Any:
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def of_effect(names: Iterable[str], *effects: Effect) -> tuple[str, ...]:
    """Those of the settings that have one of these effects."""
    return tuple(name for name in names if EFFECTS[name] in effects)


def taking(config: Config, other: Config, names: Iterable[str]) -> Config:
    """`config` with these settings as `other` has them. They are not checked again."""
    for name in names:
        section, _, key = name.partition(".")
        content = structs.replace(getattr(config, section), **{key: value(other, name)})
        config = structs.replace(config, **{section: content})
    return config

"""What a gateway is told: all of it may change while it serves (`Gateway.reconfigure`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from local_swarm.gateway.bodies import BodyLimits
from local_swarm.gateway.connections import ConnectionLimits
from local_swarm.gateway.deciding import VoteSettings
from local_swarm.gateway.fanout import FanoutSettings
from local_swarm.gateway.turns import Served
from local_swarm.gateway.voted import VotedSettings


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`host` is the address it listens on. `keys` empty: no key is asked for. `control_key` opens
    what changes the swarm, and nothing else does; empty: nobody may change it. With `show_prompts`
    /slots may show what clients and models wrote."""

    served: Served
    voted: VotedSettings
    strategies: frozenset[str]
    fanout: FanoutSettings = field(default_factory=FanoutSettings)
    votes: VoteSettings = field(default_factory=VoteSettings)
    host: str = "127.0.0.1"
    keys: Collection[str] = ()
    control_key: str = ""
    hosts: Collection[str] = ()
    max_body_bytes: int = 32 * 1024 * 1024
    max_queue: int = 64
    show_prompts: bool = False
    access_log: bool = False
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    limits: BodyLimits = field(default_factory=BodyLimits)

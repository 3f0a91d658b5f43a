"""What takes other settings while the swarm runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local_swarm.config import Config
from local_swarm.gateway.app import Gateway
from local_swarm.gateway.learning import SkillBook
from local_swarm.supervisor.fleet import Fleet
from local_swarm.swarm.compose import Watches, gateway_settings, restart_policy
from local_swarm.swarm.planning import Prepared
from local_swarm.telemetry import logs


@dataclass(frozen=True, slots=True)
class Live:
    """`log_as` begins to log as the settings say."""

    fleet: Fleet
    watches: Watches
    gateway: Gateway
    control_key: str
    skills: SkillBook
    log_as: Callable[[Config], None]

    async def take(self, prepared: Prepared) -> None:
        """From now on all holds that needs no other workers; requests under way end as they
        began."""
        config = prepared.config
        self.log_as(config)
        logs.hide(prepared.child_key, *config.server.api_keys)
        self.fleet.policy = restart_policy(config)
        self.watches.take(prepared)
        settings = gateway_settings(prepared, control_key=self.control_key, skills=self.skills)
        await self.gateway.reconfigure(settings)

"""What people see on a terminal. The only room that knows rich.

`terminal` has what all is made of; each other module shows one kind of thing. Commands import it
when they run, so that `lswarm --help` pays for none of it.
"""

from local_swarm.cli.render.answers import answer
from local_swarm.cli.render.catalogue import model, models, verified
from local_swarm.cli.render.machine import hardware, settings
from local_swarm.cli.render.measures import evaluation, replay
from local_swarm.cli.render.plans import estimate, plan
from local_swarm.cli.render.running import live_status, status, status_line
from local_swarm.cli.render.terminal import console, say

__all__ = [
    "answer",
    "console",
    "estimate",
    "evaluation",
    "hardware",
    "live_status",
    "model",
    "models",
    "plan",
    "replay",
    "say",
    "settings",
    "status",
    "status_line",
    "verified",
]

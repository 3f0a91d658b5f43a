"""Settings: what there is (`schema`), where it comes from (`sources`), and the outcome (`load`).

Default < file < environment < flag, each value knowing its origin. `paths` says where the program
keeps things. Importing this room is cheap, and it decides nothing about the swarm itself.
"""

from local_swarm.config.load import Loaded, load
from local_swarm.config.paths import Paths, chosen, ensured, user_paths
from local_swarm.config.schema import (
    Config,
    Engine,
    Federation,
    Hardware,
    Logs,
    Models,
    Server,
    Supervisor,
    Swarm,
)
from local_swarm.config.settings import Origin

__all__ = [
    "Config",
    "Engine",
    "Federation",
    "Hardware",
    "Loaded",
    "Logs",
    "Models",
    "Origin",
    "Paths",
    "Server",
    "Supervisor",
    "Swarm",
    "chosen",
    "ensured",
    "load",
    "user_paths",
]

"""How a worker is run: one file per engine behind one protocol, and a registry.

An engine turns a WorkerPlan into a LaunchSpec (argv, environment, readiness, capabilities) and
says whether it is installed and which devices it drives. It starts no worker, opens no port and
knows nothing of HTTP: the supervisor runs what it returns. Nothing above this room names an engine.

To add one: a module with a class that has the shape of `Engine`, and a line in `registry.ENGINES`.
The `*_runner.py` are programs that run as children; nothing imports them.
"""

from local_swarm.engines.base import Availability, Engine
from local_swarm.engines.environment import is_pinnable
from local_swarm.engines.extra_args import asks_for_ranks, asks_for_vectors
from local_swarm.engines.printed import on_devices, printed_sizes
from local_swarm.engines.registry import ENGINES, choose
from local_swarm.engines.slot_files import slot_file_bytes, with_slot_files

__all__ = [
    "ENGINES",
    "Availability",
    "Engine",
    "asks_for_ranks",
    "asks_for_vectors",
    "choose",
    "is_pinnable",
    "on_devices",
    "printed_sizes",
    "slot_file_bytes",
    "with_slot_files",
]

"""Runs candidates' code where it can do no harm: no network, no files, no environment.

`pool` hands jobs to workers, `round` is one run of it, `tree` are the processes, `ways` say how
they are walled in, `inside` is what runs in there. docs/sandbox.md says what each wall holds.
"""

from local_swarm.sandbox.limits import Limits
from local_swarm.sandbox.pool import Sandbox
from local_swarm.sandbox.shared import shared, unavailable

__all__ = ["Limits", "Sandbox", "shared", "unavailable"]

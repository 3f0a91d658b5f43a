"""What is wrong with this machine or this swarm, and what to do about each of it.

One file for each kind of check, listed in `registry`; `examine` runs them side by side, each
bounded in time. A check looks and tells: it changes nothing, ends nothing and sends nothing.
`bundle` puts what a bug report needs into one file, without prompts, keys or names.
"""

from local_swarm.swarm.doctor.examine import examine
from local_swarm.swarm.doctor.finding import Context, Finding, Level
from local_swarm.swarm.doctor.registry import CHECKS, exit_code

__all__ = ["CHECKS", "Context", "Finding", "Level", "examine", "exit_code"]

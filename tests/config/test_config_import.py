"""Every command imports the configuration; it must not bring the rest of the world."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("aiohttp", "asyncio", "rich", "structlog", "platformdirs", "huggingface_hub", "click")


def test_importing_the_configuration_brings_nothing_heavy():
    code = f"import sys, local_swarm.config; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"

"""Values of llama-server's flags that are more than a number or a word."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_CPUS = 512  # GGML_MAX_N_THREADS
MAX_DEVICES = 128  # how many shares CommonParams.tensor_split holds


def on_off(word: str) -> bool:
    """As llama.cpp reads a switch that has a value."""
    if word.lower() in ("on", "enabled", "true", "1"):
        return True
    if word.lower() in ("off", "disabled", "false", "0"):
        return False
    raise ValueError("is neither on nor off")


def tensor_split(word: str) -> list[float]:
    """`'3,1'` -> shares padded with zeros."""
    shares = [float(share) for share in word.replace("/", ",").split(",")]
    if len(shares) > MAX_DEVICES:
        raise ValueError(f"has more than {MAX_DEVICES} shares")
    return shares + [0.0] * (MAX_DEVICES - len(shares))


def cpu_range(word: str) -> list[bool]:
    """`'lo-hi'`, either end may be left out -> a mask."""
    low, dash, high = word.partition("-")
    if not dash:
        raise ValueError("is not of the form lo-hi")
    first, last = int(low or 0), int(high or MAX_CPUS - 1)
    if not 0 <= first <= last < MAX_CPUS:
        raise ValueError(f"is not a range within 0-{MAX_CPUS - 1}")
    return [first <= cpu <= last for cpu in range(MAX_CPUS)]


def experts_on_cpu(word: str) -> str:
    """How many first layers keep their experts on the CPU -> tensor overrides."""
    layers = int(word)
    if layers < 0:
        raise ValueError("is negative")
    names = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
    return ",".join(rf"blk\.{layer}{names}" for layer in range(layers))


def rope_scale(word: str) -> float:
    """How much longer the context gets -> what frequencies are multiplied by."""
    longer = float(word)
    if not 0 < longer < math.inf or math.isinf(1 / longer):
        raise ValueError("is not a number above 0")
    return 1 / longer


def json_object(word: str) -> dict[str, Any]:
    value = json.loads(word)
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return value

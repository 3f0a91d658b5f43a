"""Compares what a plan said with what the engine then printed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from local_swarm.domain.plan import Drift, MemoryPart, Observed

ROUNDING_BYTES = 6 * 1024  # of a figure printed in 0.01 MiB
LOOSE = {"compute": 0.05}
"""Kinds that differ between builds of an engine, and the share that counts as agreement."""
FOLDED = {
    "draft_weights": "weights",
    "draft_kv": "kv",
    "draft_recurrent": "recurrent",
    "draft_output": "output",
    "draft_compute": "compute",
    "draft_verify": "compute",
    "mmproj_compute": "compute",
}
"""Kinds that the engine prints under the name of another."""
SHARED = frozenset({"weights"})
"""Kinds that the plan counts once for several workers, which all print them."""


def observe(planned: Iterable[MemoryPart], printed: Iterable[MemoryPart]) -> Observed | None:
    """What was printed, and where it differs from the plan; None when nothing was printed.

    Kinds that the engine prints nothing of (the prompt cache, reserves) are left out.
    """
    wanted, seen = _sums(planned), _sums(printed)
    if not seen:
        return None
    counted = {key: size for key, size in seen.items() if key[1] not in SHARED or key in wanted}
    kinds = {kind for _, kind in counted}
    keys = [*counted, *(k for k in wanted if k[1] in kinds and k not in counted)]
    drifts = (Drift(*key, wanted.get(key, 0), counted.get(key, 0)) for key in keys)
    return Observed(sum(counted.values()), tuple(d for d in drifts if not _agrees(d)))


def _agrees(drift: Drift) -> bool:
    allowed = max(ROUNDING_BYTES, LOOSE.get(drift.kind, 0.0) * drift.planned_bytes)
    return abs(drift.observed_bytes - drift.planned_bytes) <= allowed


def _sums(parts: Iterable[MemoryPart]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for part in parts:
        sums[part.device, FOLDED.get(part.kind, part.kind)] += part.bytes
    return sums

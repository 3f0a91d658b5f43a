"""Compares what a plan said with what the engine then printed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from local_swarm.domain.plan import CPU_DEVICE, Drift, MemoryPart, Observed

ROUNDING_BYTES = 24 * 1024  # of a few figures printed in 0.01 MiB, added up
LOOSE = 0.05
"""The share by which a compute buffer may be more than planned: it differs between builds. What is
less is no difference, since a plan may have only a bound for it."""
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
HOST_WEIGHTS = (CPU_DEVICE, "weights")
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
    elsewhere = sum(size for key, size in wanted.items() if key[1] == "weights") - wanted.get(
        HOST_WEIGHTS, 0
    )
    drifts = (Drift(*key, wanted.get(key, 0), counted.get(key, 0)) for key in keys)
    return Observed(sum(counted.values()), tuple(d for d in drifts if not _agrees(d, elsewhere)))


def _agrees(drift: Drift, elsewhere: int) -> bool:
    """`elsewhere` is the bytes of weights on devices.

    Of a file of which the host keeps part, the engine prints the range that it maps, which may hold
    tensors that lie on devices.
    """
    planned, observed = drift.planned_bytes, drift.observed_bytes
    if drift.kind == "compute":
        return observed <= planned + max(ROUNDING_BYTES, LOOSE * planned)
    between = elsewhere if (drift.device, drift.kind) == HOST_WEIGHTS else 0
    return planned - ROUNDING_BYTES <= observed <= planned + between + ROUNDING_BYTES


def _sums(parts: Iterable[MemoryPart]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = defaultdict(int)
    for part in parts:
        sums[part.device, FOLDED.get(part.kind, part.kind)] += part.bytes
    return sums

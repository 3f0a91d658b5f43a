"""How many layers each device of a worker gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.budget.context import Setting
from local_swarm.budget.placement import Share, Target, place
from local_swarm.domain.model import ModelFacts

_STEPS = 24  # of a bisection: finer than a layer


def layer_shares(
    model: ModelFacts, setting: Setting, backend: str | None, cpu_moe_layers: int = 0
) -> tuple[Share, ...]:
    """What each layer and, last, the output take on a device of this backend."""
    places = model.layers * model.loops + 1
    devices = [Target(str(number), backend) for number in range(places)]
    return place(
        model,
        setting,
        gpu_layers=-1,
        devices=devices,
        tensor_split=[1.0] * places,
        cpu_moe_layers=cpu_moe_layers,
    )[1:]


def balanced(costs: Sequence[int], rooms: Sequence[int]) -> tuple[int, ...] | None:
    """How many of the layers, in order, each device takes so that all are equally full.

    `costs` and `rooms` are bytes; None where no way fits. With one more byte of room anywhere what
    fitted still fits: a device is filled before the next, at the least share of its room at which
    all layers find a place.
    """
    if _filled(costs, rooms, 1.0) is None:
        return None
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _filled(costs, rooms, middle) is None:
            low = middle
        else:
            high = middle
    return _filled(costs, rooms, high)


def _filled(costs: Sequence[int], rooms: Sequence[int], share: float) -> tuple[int, ...] | None:
    counts, at = [], 0
    for room in rooms:
        free, first = room * share, at
        while at < len(costs) and costs[at] <= free:
            free -= costs[at]
            at += 1
        counts.append(at - first)
    return tuple(counts) if at == len(costs) else None

"""The sentences of a plan: why it is what it is, for people."""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.budget.seating import CPU_VOTERS, Seating
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.model import ModelFacts


def devices(host: HostSnapshot) -> Iterator[str]:
    if host.devices:
        names = ", ".join(device.name or device.id for device in host.devices)
        yield f"Only the CPU is planned for in this version; {names} will not be used."


def layout(seating: Seating, wishes: Wishes) -> str:
    """What runs, and what its slots are for."""
    many = seating.workers > 1
    workers = f"{seating.workers} workers" if many else "One worker"
    slots = f"{seating.slots} slot{'s' if seating.slots > 1 else ''}{' each' if many else ''}"
    voters = f"{seating.voters} voter{'s' if seating.voters > 1 else ''}"
    if seating.lanes:
        rest = f"and {'each worker keeps' if many else 'there is'} a lane for unvoted requests"
    else:
        rest = "with no lane for unvoted requests, which take turns with votes"
    why = "as asked" if wishes.layout == "processes" or wishes.workers != "auto" else ""
    why = why or "one process shares weights and prompts between its slots"
    return f"{workers} with {slots} ({why}): {voters}, {rest}."


def fewer_processes(seating: Seating, wishes: Wishes, cores: int) -> Iterator[str]:
    """Says so when the cores, not the memory, set the number of voting processes."""
    auto = wishes.layout == "processes" and wishes.workers == wishes.voters == "auto"
    if auto and seating.voters < CPU_VOTERS:
        yield (
            f"{seating.workers} processes instead of {CPU_VOTERS}: each needs a thread of its own,"
            f" and there are {cores} cores."
        )


def context(ctx: int, wishes: Wishes, model: ModelFacts) -> str:
    """How long a slot's context is before any trade."""
    trained = f"the model was trained on {model.context_train}"
    if wishes.ctx == "auto":
        why = trained if ctx == model.context_train else "the default"
    elif ctx < wishes.ctx:
        why = f"{trained}, so {wishes.ctx} would be cut by the engine"
    elif ctx > wishes.ctx:
        why = f"the engine rounds {wishes.ctx} up to a multiple of 256"
    else:
        why = "as asked"
    return f"{ctx} tokens of context per slot: {why}."


def trade(what: str, lacking_bytes: int) -> str:
    return f"{what}, because the first choice lacked {format_bytes(lacking_bytes)}."


def threads(each: int, seating: Seating, cores: int) -> str:
    per = "each worker" if seating.workers > 1 else "the worker"
    return f"{each} thread{'s' if each > 1 else ''} for {per}: all share {cores} cores."


def does_not_fit(lacking_bytes: int, usable_bytes: int, what: str) -> str:
    needed = format_bytes(usable_bytes + lacking_bytes)
    return (
        f"{what} does not fit: the smallest plan needs {needed}, which is"
        f" {format_bytes(lacking_bytes)} ({lacking_bytes} bytes) more than the"
        f" {format_bytes(usable_bytes)} that may be used."
    )

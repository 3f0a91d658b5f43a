"""The sentences of a plan: why it is what it is, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from local_swarm.budget.case import Case, Layout
from local_swarm.budget.limits import Limits
from local_swarm.budget.offer import Offer
from local_swarm.budget.prompt_cache import longest_pair
from local_swarm.budget.seating import CPU_VOTERS, GPU_VOTERS, Seating
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.memory import MIB, format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan

MOST_NAMED = 3
MOST_KEPT = 9


def memory(limits: Limits) -> Iterator[str]:
    """What may be used of each device, and why others are not."""
    yield limits.ram.reason
    reasons = Counter(pool.reason for pool in (*limits.gpus, *limits.idle))
    for reason, count in reasons.items():
        yield reason if count == 1 else f"Each of {count} alike: {reason}"
    yield from limits.unused


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
    if not wishes.can.parallel:
        why = why or "this engine's workers have one slot each"
    why = why or "one process shares weights and prompts between its slots"
    return f"{workers} with {slots} ({why}): {voters}, {rest}."


def fewer_processes(layout: Layout, wishes: Wishes, cores: int) -> Iterator[str]:
    """Says so when the cores, not the memory, set the number of voting processes."""
    auto = wishes.workers == wishes.voters == "auto" and not wishes.tensor_split
    default = GPU_VOTERS if layout.grouping[0] else CPU_VOTERS
    if wishes.in_processes and auto and layout.seating.voters < default:
        yield (
            f"{layout.seating.workers} processes instead of {default}: each needs a thread of"
            f" its own, and there are {cores} cores."
        )


def purpose(model: ModelFacts, wishes: Wishes) -> Iterator[str]:
    """What else than chats the model is asked for."""
    if model.purpose == "embedding":
        yield "It is an embedding model: it answers /v1/embeddings, and nothing is voted on."
    elif model.purpose == "rerank":
        yield "It ranks texts: it answers /rerank, and nothing is voted on."
    elif wishes.vectors:
        yield "It also makes embeddings, as asked: every token of a batch has a row of results."


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


def trades(first: Offer, chosen: Offer) -> Iterator[str]:
    """What was given up, against all that was asked for."""
    lacking = f"because the first choice lacked {format_bytes(first.lacking_bytes)}"
    if chosen.cache.unified:
        worker = chosen.workers[0]
        yield (
            f"The slots share {worker.cells} tokens of context (unified KV) instead of having"
            f" {worker.ctx} each, {lacking}: one request may still use {worker.ctx}, and those that"
            " do not fit beside each other take turns."
        )
    if chosen.cache.type != first.cache.type:
        yield f"The cache is {chosen.cache.type}, not {first.cache.type}, {lacking}."
    seat, wished = chosen.layout.seating, first.layout.seating
    if seat.voters < wished.voters:
        yield f"{seat.voters} voters instead of {wished.voters}, {lacking}."
    elif seat.lanes < wished.lanes:
        yield f"No lane for unvoted requests, {lacking}."
    if chosen.ctx < first.ctx:
        yield f"{chosen.ctx} tokens of context per slot instead of {first.ctx}, {lacking}."


def threads(workers: Sequence[WorkerPlan], cores: int) -> str:
    each = workers[0].threads
    per = "each worker" if len(workers) > 1 else "the worker"
    few = all(w.gpu_layers and w.threads * len(workers) < cores for w in workers)
    why = f"all share {cores} cores" if not few else "the accelerator does the work"
    return f"{each} thread{'s' if each > 1 else ''} for {per}: {why}."


def placement(workers: Sequence[WorkerPlan], all_layers: int) -> Iterator[str]:
    """Where workers run that do not run on the CPU alone."""
    if workers[0].devices == (CPU_DEVICE,):
        return
    places = ", ".join(dict.fromkeys(_place(worker) for worker in workers))
    yield f"{'Workers run' if len(workers) > 1 else 'It runs'} on {places}."
    worker = workers[0]
    if worker.cpu_moe_layers:
        yield (
            f"The experts of the first {worker.cpu_moe_layers} layers stay in RAM, because not all"
            " fit on the accelerator: answers are slower."
        )
    elif worker.gpu_layers < all_layers:
        yield (
            f"{worker.gpu_layers} of {all_layers} layers are on the accelerator and the rest on the"
            " CPU: answers are slower."
        )


def _place(worker: WorkerPlan) -> str:
    if not worker.tensor_split:
        return worker.devices[0]
    shares = zip(worker.devices, worker.tensor_split, strict=True)
    return " + ".join(f"{device} ({share:g} parts)" for device, share in shares)


def idle(offer: Offer, case: Case) -> Iterator[str]:
    """Accelerators that are planned for and not used."""
    used = {device for worker in offer.workers for device in worker.devices}
    free = [p.device for p in offer.pools if p.device not in used and p.device != CPU_DEVICE]
    if not free:
        return
    names = f"{', '.join(free)} {'is' if len(free) == 1 else 'are'} not used: "
    if CPU_DEVICE in used:
        yield f"{names}a much better model runs on the CPU, or too little of this one fits there."
    elif len(offer.workers) == case.cores:
        yield f"{names}each worker needs a core, and there are {case.cores}."
    elif case.wishes.workers != "auto":
        yield f"{names}there are as many workers as asked."
    else:
        yield (
            f"{names}the whole model does not fit there, and split over several devices it would"
            " be slower."
        )


def spare(offer: Offer, model: ModelFacts, wishes: Wishes, asked: int) -> Iterator[str]:
    """Why a fifth or more of a device that is used stays free."""
    used = {device for worker in offer.workers for device in worker.devices}
    free = [
        pool
        for pool in offer.pools
        if pool.device in used and offer.planned[pool.device] < 0.8 * pool.usable_bytes
    ]
    if not free:
        return
    names = ", ".join(
        f"{format_bytes(pool.usable_bytes - offer.planned[pool.device])} of {_label(pool.device)}"
        for pool in free[:MOST_NAMED]
    ) + (f" and of {len(free) - MOST_NAMED} more" if len(free) > MOST_NAMED else "")
    if offer.ctx >= model.context_train:
        why = "the model was trained on no longer context"
    elif wishes.ctx != "auto":
        why = "the context is as asked"
    elif wishes.gpu_layers != "auto":
        why = "the layers are as asked"
    elif CPU_DEVICE in used:
        why = f"a CPU reads long prompts slowly (--ctx asks for more than {asked} tokens)"
    else:
        why = "a longer context does not fit on every device"
    yield f"{names} stays free: {why}, and {offer.layout.seating.voters} voters are enough."


def prompt_cache(workers: Sequence[WorkerPlan], saved: Callable[[int], int]) -> Iterator[str]:
    """How much of the conversations that left their slots is kept; `saved` gives the bytes of one
    of so many tokens. Two that take turns in a slot both lie in the cache for a moment."""
    worker = workers[0]
    kept, whole = worker.cache_ram_mib * MIB, saved(worker.ctx)
    if not (kept and whole):
        return
    size = f"{format_bytes(kept)} of RAM{' each' if len(workers) > 1 else ''}"
    if kept >= 2 * whole:
        many = str(kept // whole) if kept < MOST_KEPT * whole else f"{MOST_KEPT} or more"
        yield f"{size} keep {many} whole conversations that take turns in a slot."
    elif tokens := longest_pair(kept, worker.ctx, saved):
        yield (
            f"{size} keep conversations that take turns in a slot; two of more than about {tokens}"
            " tokens are read anew at each turn."
        )
    else:
        yield (
            f"{size} are too little for two conversations of any length: those that take turns in"
            " a slot are read anew at each turn."
        )


def longer(ctx: int, asked: int) -> str:
    return f"{ctx} tokens of context per slot instead of {asked}, because the memory is there."


def does_not_fit(offer: Offer, what: str) -> str:
    """What the smallest offer lacks."""
    pool, lack = max(offer.lacks, key=lambda pair: pair[1])
    where = _label(pool.device)
    return (
        f"{what} does not fit: the smallest plan needs"
        f" {format_bytes(pool.usable_bytes + lack)} of {where}, which is {format_bytes(lack)}"
        f" ({lack} bytes) more than the {format_bytes(pool.usable_bytes)} that may be used."
    )


def lacks(offer: Offer) -> str:
    """What a model lacked that was not chosen."""
    pool, lack = max(offer.lacks, key=lambda pair: pair[1])
    asked = f"with {offer.layout.seating.voters} voters and {offer.ctx} tokens of context each"
    if len(offer.lacks) > 1:
        names = ", ".join(_label(pool.device) for pool, _ in offer.lacks)
        return f"It lacks {format_bytes(offer.lacking_bytes)} on {names} together {asked}."
    needed = format_bytes(pool.usable_bytes + lack)
    usable = format_bytes(pool.usable_bytes)
    return (
        f"It lacks {format_bytes(lack)} of {_label(pool.device)} {asked}: {needed}, and {usable}"
        " may be used."
    )


def _label(device: str) -> str:
    return "RAM" if device == CPU_DEVICE else device

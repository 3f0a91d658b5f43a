"""From a host, a model and wishes to the plan that runs. Pure, and the same every time.

Tried in this order until one fits: every seating (fewer voters later), each with an f16 and then
a q8_0 cache; at last a shorter context, the longest that fits. So more memory never gives fewer
voters or a shorter context.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from local_swarm.budget import explain
from local_swarm.budget.compute import compute_size
from local_swarm.budget.estimate import Load, notes, worker_parts
from local_swarm.budget.kv import CTX_STEP, can_hold, pad
from local_swarm.budget.limits import RamBudget, ram_budget, usable_cores
from local_swarm.budget.seating import Seating, seatings
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, DeviceBudget, MemoryPart, Plan, WorkerPlan
from local_swarm.errors import FitError, ModelError

DEFAULT_CTX = 16384
LEAST_CTX = 4096
BIG_ENDIAN_HOSTS = frozenset({"s390x", "ppc64"})


@dataclass(frozen=True, slots=True)
class _Option:
    """One plan that could be; all its workers are alike."""

    seating: Seating
    load: Load

    def parts(self, model: ModelFacts) -> tuple[tuple[MemoryPart, ...], ...]:
        """One entry per worker; the first carries the weights they share."""
        first = worker_parts(model, self.load)
        other = worker_parts(model, self.load, with_weights=False)
        return (first, *[other] * (self.seating.workers - 1))

    def cost(self, model: ModelFacts) -> int:
        return sum(part.bytes for parts in self.parts(model) for part in parts)


def plan(
    host: HostSnapshot,
    model: ModelFacts,
    wishes: Wishes,
    *,
    model_id: str,
    engine_build: str | None = None,
) -> Plan:
    """The best plan for the host's CPU. `planned_bytes` never exceeds `usable_bytes`.

    `engine_build` names the engine that will run (`xllamacpp 2026.10.11549`) where it is known.
    `UsageError` when the wishes contradict each other or the cores; `FitError` when nothing fits;
    `ModelError` when the file is of the other byte order.
    """
    _refuse_other_byte_order(host, model)
    cores = usable_cores(host.cpu)
    ram = ram_budget(host.memory, wishes)
    options = _options(model, wishes, seatings(wishes, cores), engine_build)
    chosen = _choose(options, model, wishes, ram, model_id)
    threads = cores // chosen.seating.workers if wishes.threads == "auto" else wishes.threads
    reasons = (
        *explain.devices(host),
        ram.reason,
        explain.layout(chosen.seating, wishes),
        *explain.fewer_processes(options[0].seating, wishes, cores),
        explain.context(options[0].load.ctx, wishes, model),
        *_trades(options[0], chosen, model, ram),
        explain.threads(threads, chosen.seating, cores),
        *notes(model, compute_size(model, chosen.load.setting, build=engine_build)),
    )
    return Plan(
        model_id=model_id,
        workers=_workers(chosen, model, wishes, model_id=model_id, threads=threads),
        voters=chosen.seating.voters,
        budget=(DeviceBudget(CPU_DEVICE, ram.total_bytes, ram.usable_bytes, chosen.cost(model)),),
        reasons=reasons,
    )


def _refuse_other_byte_order(host: HostSnapshot, model: ModelFacts) -> None:
    if model.big_endian != (host.arch in BIG_ENDIAN_HOSTS):
        order, other = ("big", "little") if model.big_endian else ("little", "big")
        raise ModelError(
            f"{model.path} is a {order}-endian file, which an engine on {host.arch} refuses.",
            hint=f"Use the {other}-endian build of the model.",
        )


def slot_ctx(wishes: Wishes, model: ModelFacts) -> int:
    """Tokens a slot really has: the engine rounds up to 256 and cuts at what was trained."""
    wished = DEFAULT_CTX if wishes.ctx == "auto" else wishes.ctx
    return min(pad(wished, CTX_STEP), model.context_train)


def _options(
    model: ModelFacts, wishes: Wishes, seats: tuple[Seating, ...], build: str | None
) -> tuple[_Option, ...]:
    ctx = slot_ctx(wishes, model)
    return tuple(
        _Option(
            seating,
            Load(
                slots=seating.slots,
                ctx=ctx,
                cache_type_k=cache_type,
                cache_type_v=cache_type,
                cache_ram_mib=wishes.cache_ram_mib,
                build=build,
            ),
        )
        for seating in seats
        for cache_type in ("f16", "q8_0")
        if can_hold(model, cache_type)
    )


def _choose(
    options: tuple[_Option, ...], model: ModelFacts, wishes: Wishes, ram: RamBudget, model_id: str
) -> _Option:
    for option in options:
        if option.cost(model) <= ram.usable_bytes:
            return option
    smallest = min(options, key=lambda option: option.cost(model))
    ladder = (
        [smallest] if wishes.ctx != "auto" else [_with_ctx(smallest, c) for c in _steps(smallest)]
    )
    longest = _last_that_fits(ladder, model, ram.usable_bytes)
    if longest is None:
        lacking = ladder[0].cost(model) - ram.usable_bytes
        raise FitError(
            explain.does_not_fit(lacking, ram.usable_bytes, model_id), hint=_way_out(wishes)
        )
    return longest


def _steps(option: _Option) -> range:
    """Shorter contexts, rising, in the engine's steps."""
    ctx = option.load.ctx
    return range(min(LEAST_CTX, ctx), max(ctx, min(LEAST_CTX, ctx) + 1), CTX_STEP)


def _with_ctx(option: _Option, ctx: int) -> _Option:
    return replace(option, load=replace(option.load, ctx=ctx))


def _last_that_fits(ladder: list[_Option], model: ModelFacts, usable: int) -> _Option | None:
    """The costliest of options sorted by cost that fits."""
    low, high = 0, len(ladder)
    while low < high:
        middle = (low + high) // 2
        if ladder[middle].cost(model) <= usable:
            low = middle + 1
        else:
            high = middle
    return ladder[low - 1] if low else None


def _trades(first: _Option, chosen: _Option, model: ModelFacts, ram: RamBudget) -> Iterator[str]:
    """What was given up, against the first option."""
    lacking = first.cost(model) - ram.usable_bytes
    if chosen.load.cache_type_k != first.load.cache_type_k:
        yield explain.trade(f"The cache is {chosen.load.cache_type_k}, not f16", lacking)
    if chosen.seating.voters < first.seating.voters:
        fewer = f"{chosen.seating.voters} voters instead of {first.seating.voters}"
        yield explain.trade(fewer, lacking)
    elif chosen.seating.lanes < first.seating.lanes:
        yield explain.trade("No lane for unvoted requests", lacking)
    if chosen.load.ctx < first.load.ctx:
        shorter = f"{chosen.load.ctx} tokens of context per slot instead of {first.load.ctx}"
        yield explain.trade(shorter, lacking)


def _way_out(wishes: Wishes) -> str:
    by_hand = [
        name
        for name in ("ctx", "voters", "slots", "workers")
        if getattr(wishes, name) not in ("auto", 1)
    ]
    less = f"ask for less ({', '.join(by_hand)}), " if by_hand else ""
    return f"Free memory, {less}raise hardware.ram_fraction, or choose a smaller model."


def _workers(
    chosen: _Option, model: ModelFacts, wishes: Wishes, *, model_id: str, threads: int
) -> tuple[WorkerPlan, ...]:
    load, seating = chosen.load, chosen.seating
    return tuple(
        WorkerPlan(
            id=f"w{number}",
            model_path=model.path,
            model_id=model_id,
            devices=(CPU_DEVICE,),
            gpu_layers=0,
            tensor_split=(),
            slots=seating.slots,
            lanes=seating.lanes,
            ctx=load.ctx,
            threads=threads,
            kv_unified=load.kv_unified,
            cache_type_k=load.cache_type_k,
            cache_type_v=load.cache_type_v,
            batch=load.batch,
            ubatch=load.ubatch,
            cache_ram_mib=load.cache_ram_mib,
            ctx_checkpoints=wishes.ctx_checkpoints,
            parts=parts,
        )
        for number, parts in enumerate(chosen.parts(model))
    )

"""From a host, models and wishes to the plan that runs. Pure, and the same every time.

Models are tried best first, each with the layouts that give the user all that was asked for; only
where none fits, something is given up, in this order: an f16 cache (q8_0), voters, the lane, length
of context, layers on the accelerator. So more memory never gives a worse plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from local_swarm.budget import explain
from local_swarm.budget.case import Case, Layout, Stage, case_of
from local_swarm.budget.estimate import notes
from local_swarm.budget.groups import CPU_GROUP, one_group
from local_swarm.budget.kv import CTX_STEP, can_hold, pad
from local_swarm.budget.offer import Maker, Offer
from local_swarm.budget.pricing import Answers, Beside, Pricer
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, Rejection
from local_swarm.errors import FitError, ModelError

BIG_ENDIAN_HOSTS = frozenset({"s390x", "ppc64"})
PHONE_PARAMETERS = 3_500_000_000
GROWTH_STEP = 1024


class Candidate(Protocol):
    """A model that may be chosen. `facts` is asked for only where the weights may fit."""

    @property
    def model_id(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    def facts(self) -> ModelFacts: ...


def plan(
    host: HostSnapshot,
    model: ModelFacts,
    wishes: Wishes,
    *,
    model_id: str,
    beside: Beside | None = None,
    engine_build: str | None = None,
    answers: Answers | None = None,
) -> Plan:
    """The best plan for one model. `planned_bytes` never exceeds `usable_bytes`.

    `beside` is what each worker loads besides the model, `engine_build` names the engine that will
    run (`xllamacpp 2026.10.11549`) where it is known, and `answers` is what it said when it was
    asked. `UsageError` when the wishes contradict each other
    or the machine; `FitError` when nothing fits; `ModelError` when the file is of the other byte
    order.
    """
    _refuse_other_byte_order(host, model)
    case = case_of(host, wishes)
    pricer = Pricer(model, engine_build, answers or {}, beside or Beside())
    fitter = _Fitter(Maker(case, model, model_id, pricer))
    chosen = _search(case, [fitter])
    if chosen is None:
        smallest = _Fitter(replace(fitter.maker, case=case.without_gpus)).smallest
        raise FitError(explain.does_not_fit(smallest, model_id), hint=_way_out(wishes))
    return chosen.plan()


def choose(
    host: HostSnapshot,
    candidates: Iterable[Candidate],
    wishes: Wishes,
    *,
    engine_build: str | None = None,
) -> Plan:
    """The best plan for the first of the candidates, best first, that fits.

    Those before it are `rejected`, each with what it lacked. Raises as `plan` does.
    """
    case = case_of(host, wishes)
    lineup = _Lineup(case, iter(candidates), engine_build)
    chosen = _search(case, lineup)
    if chosen is None:
        raise FitError("None of the models known here fits this machine.", hint=_way_out(wishes))
    return chosen.plan(lineup.rejected_before(chosen.fitter))


def slot_ctx(case: Case, model: ModelFacts) -> int:
    """Tokens a slot really has: the engine rounds up to 256 and cuts at what was trained."""
    wished = case.wishes.ctx
    return min(pad(case.default_ctx if wished == "auto" else wished, CTX_STEP), model.context_train)


@dataclass(frozen=True, slots=True)
class _Chosen:
    fitter: _Fitter
    offer: Offer

    def plan(self, rejected: tuple[Rejection, ...] = ()) -> Plan:
        return self.fitter.plan(self.offer, rejected)


@dataclass(slots=True)
class _Lineup:
    """Candidates as fitters, made when they are needed, and why some were never looked at."""

    case: Case
    source: Iterator[Candidate]
    build: str | None
    seen: list[_Fitter | Rejection] = field(default_factory=list)

    def __iter__(self) -> Iterator[_Fitter]:
        yield from [each for each in self.seen if isinstance(each, _Fitter)]
        for candidate in self.source:
            if why := _too_large(candidate, self.case):
                self.seen.append(Rejection(candidate.model_id, why))
                continue
            model = candidate.facts()
            fitter = _Fitter(Maker(self.case, model, candidate.model_id, Pricer(model, self.build)))
            self.seen.append(fitter)
            yield fitter

    def rejected_before(self, chosen: _Fitter) -> tuple[Rejection, ...]:
        names = [each.maker.model_id for each in self.seen if isinstance(each, _Fitter)]
        end = names.index(chosen.maker.model_id)
        last = [each for each in self.seen if isinstance(each, _Fitter)][end]
        return tuple(
            each
            if isinstance(each, Rejection)
            else Rejection(each.maker.model_id, explain.lacks(each.first))
            for each in self.seen[: self.seen.index(last)]
        )


@dataclass(eq=False, slots=True)
class _Fitter:
    """The offers of one model, in the order in which things are given up."""

    maker: Maker

    @property
    def case(self) -> Case:
        return self.maker.case

    @property
    def ctx(self) -> int:
        return slot_ctx(self.case, self.maker.model)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(s for s in self.case.stages if can_hold(self.maker.model, s.cache_type))

    @property
    def first(self) -> Offer:
        """With all that was asked for, whether or not it fits: the one that lacks least."""
        return min(self._offers(self.stages[0]), key=lambda offer: offer.lacking_bytes)

    @property
    def smallest(self) -> Offer:
        """With everything given up but layers on the accelerator."""
        found = [self._shortest(layout) for layout in self._last_layouts()]
        return min(found, key=lambda offer: offer.lacking_bytes)

    def at(self, stage: Stage) -> Offer | None:
        if not can_hold(self.maker.model, stage.cache_type):
            return None
        return next((offer for offer in self._offers(stage) if offer.fits), None)

    def shorter(self) -> Offer | None:
        """The longest context that fits, where it may be traded."""
        if self.case.wishes.ctx != "auto":
            return None
        found = [self._longest(layout) for layout in self._last_layouts()]
        fitting = [offer for offer in found if offer is not None]
        return max(fitting, key=lambda offer: offer.ctx, default=None)

    def offloaded(self) -> Offer | None:
        """With all else given up, and part of the model in RAM."""
        group = one_group(self.case.limits.gpus)
        layouts = [x for x in self._last_layouts() if x.seating.workers == 1]
        if not group or not layouts:
            return None
        layout = Layout((group,), layouts[-1].seating)
        offer = self.maker.offloaded(
            layout, ctx=self._least_ctx, cache_type=self.stages[-1].cache_type
        )
        return offer if offer and offer.fits else None

    def plan(self, offer: Offer, rejected: tuple[Rejection, ...]) -> Plan:
        """The plan, with as much context as there is room for on accelerators."""
        chosen = self._grown(offer)
        return Plan(
            model_id=self.maker.model_id,
            workers=chosen.workers,
            voters=chosen.layout.seating.voters,
            budget=chosen.budget,
            reasons=tuple(self._reasons(offer, chosen)),
            rejected=rejected,
        )

    @property
    def _least_ctx(self) -> int:
        asked = self.case.wishes.ctx != "auto"
        return self.ctx if asked else min(self.case.least_ctx, self.ctx)

    def _offers(self, stage: Stage) -> Iterator[Offer]:
        for layout in stage.layouts:
            yield self.maker.offer(layout, ctx=self.ctx, cache_type=stage.cache_type)

    def _last_layouts(self) -> tuple[Layout, ...]:
        """With the fewest slots that are enough, for each way to use the devices."""
        fewest: dict[object, Layout] = {}
        for layout in self.stages[-1].layouts:
            fewest[layout.grouping] = layout
        return tuple(fewest.values())

    def _shortest(self, layout: Layout) -> Offer:
        cache_type = self.stages[-1].cache_type
        return self.maker.offer(layout, ctx=self._least_ctx, cache_type=cache_type)

    def _longest(self, layout: Layout) -> Offer | None:
        """Contexts from the least to the asked one, in the engine's steps."""
        ladder = range(self._least_ctx, max(self.ctx, self._least_ctx + 1), CTX_STEP)
        return self._last_that_fits(layout, ladder, self.stages[-1].cache_type)

    def _last_that_fits(self, layout: Layout, ladder: range, cache_type: str) -> Offer | None:
        """The longest context of a rising ladder that fits."""
        found = None
        low, high = 0, len(ladder)
        while low < high:
            middle = (low + high) // 2
            offer = self.maker.offer(layout, ctx=ladder[middle], cache_type=cache_type)
            if offer.fits:
                found, low = offer, middle + 1
            else:
                high = middle
        return found

    def _grown(self, offer: Offer) -> Offer:
        """With the longest context that fits, where nothing was given up and a GPU reads it."""
        best, trained = self.stages[0], self.maker.model.context_train
        whole = offer.layout in best.layouts and offer.cache_type == best.cache_type
        if self.case.wishes.ctx != "auto" or not whole or offer.ctx < self.ctx:
            return offer
        if offer.layout.grouping[0] == CPU_GROUP or self._is_offloaded(offer):
            return offer
        ladder = range(self.ctx + GROWTH_STEP, trained + 1, GROWTH_STEP)
        return self._last_that_fits(offer.layout, ladder, offer.cache_type) or offer

    def _is_offloaded(self, offer: Offer) -> bool:
        worker = offer.workers[0]
        return worker.cpu_moe_layers > 0 or worker.gpu_layers < self.maker.all_layers

    def _reasons(self, offer: Offer, chosen: Offer) -> Iterator[str]:
        case, model, first = self.case, self.maker.model, self.first
        yield from explain.memory(case.limits)
        yield explain.layout(chosen.layout.seating, case.wishes)
        yield from explain.placement(chosen.workers, self.maker.all_layers)
        yield from explain.fewer_processes(first.layout.seating, case.wishes, case.cores)
        yield explain.context(self.ctx, case.wishes, model)
        yield from explain.trades(first, offer)
        if chosen.ctx > offer.ctx:
            yield explain.longer(chosen.ctx, offer.ctx)
        yield from explain.idle(chosen)
        yield from explain.spare(chosen, model, case.wishes, self.ctx)
        yield explain.threads(chosen.workers, case.cores)
        group = chosen.layout.grouping[0]
        yield from notes(model, self.maker.pricer.compute(chosen.workers[0], group))


def _search(case: Case, fitters: Iterable[_Fitter]) -> _Chosen | None:
    """The first offer that fits, going through all models before the next thing is given up."""
    for stage in case.stages:
        for fitter in fitters:
            if offer := fitter.at(stage):
                return _Chosen(fitter, offer)
    for trade in (_Fitter.shorter, _Fitter.offloaded):
        for fitter in fitters:
            if offer := trade(fitter):
                return _Chosen(fitter, offer)
    if not case.limits.gpus:
        return None
    alone = case.without_gpus
    return _search(alone, [_Fitter(replace(each.maker, case=alone)) for each in fitters])


def _too_large(candidate: Candidate, case: Case) -> str | None:
    """Why a model is not even looked at."""
    if case.is_phone and candidate.parameters > PHONE_PARAMETERS:
        return "It has more than 3 billion parameters, which is too slow for a phone."
    pools = [pool for pool in case.limits.gpus if not pool.integrated]
    usable = case.limits.ram.usable_bytes + sum(pool.usable_bytes for pool in pools)
    if candidate.size_bytes <= usable:
        return None
    return (
        f"Its weights take {format_bytes(candidate.size_bytes)}, and {format_bytes(usable)} may be"
        " used in all."
    )


def _refuse_other_byte_order(host: HostSnapshot, model: ModelFacts) -> None:
    if model.big_endian != (host.arch in BIG_ENDIAN_HOSTS):
        order, other = ("big", "little") if model.big_endian else ("little", "big")
        raise ModelError(
            f"{model.path} is a {order}-endian file, which an engine on {host.arch} refuses.",
            hint=f"Use the {other}-endian build of the model.",
        )


def _way_out(wishes: Wishes) -> str:
    by_hand = [
        name
        for name in ("ctx", "voters", "slots", "workers", "devices", "gpu_layers")
        if getattr(wishes, name) not in ("auto", 1, ())
    ]
    less = f"ask for less ({', '.join(by_hand)}), " if by_hand else ""
    return f"Free memory, {less}raise hardware.ram_fraction, or choose a smaller model."

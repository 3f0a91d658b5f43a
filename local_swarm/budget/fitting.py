"""All the offers of one model on one machine: with everything, then with things given up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from local_swarm.budget import explain
from local_swarm.budget.case import CACHE_TYPES, Cache, Case, Layout, Stage, least_pool
from local_swarm.budget.estimate import notes
from local_swarm.budget.groups import CPU_GROUP, one_group
from local_swarm.budget.kv import CTX_STEP, can_hold, pad
from local_swarm.budget.offer import Maker, Offer
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, Plan, Rejection

GROWTH_STEP = 1024


def slot_ctx(case: Case, model: ModelFacts) -> int:
    """Tokens a slot really has: the engine rounds up to 256 and cuts at what was trained."""
    wished = case.wishes.ctx
    return min(pad(case.default_ctx if wished == "auto" else wished, CTX_STEP), model.context_train)


@dataclass(eq=False, slots=True)
class Fitter:
    """The offers of one model, in the order in which things are given up."""

    maker: Maker
    quality: float = 0.0

    @property
    def case(self) -> Case:
        return self.maker.case

    @property
    def ctx(self) -> int:
        return slot_ctx(self.case, self.maker.model)

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self.case.stages

    @property
    def caches(self) -> tuple[Cache, ...]:
        """In the order in which things are given up: cells of one's own, then exact values.

        Neither by models that are not made to answer: most of them keep no cells.
        """
        if self.maker.model.purpose != "chat":
            return (Cache(CACHE_TYPES[0]),)
        draft = self.maker.pricer.beside.draft
        models = (self.maker.model, draft) if draft else (self.maker.model,)
        kinds = [kind for kind in CACHE_TYPES if all(can_hold(m, kind) for m in models)]
        return (Cache(kinds[0]), *(Cache(kind, unified=True) for kind in kinds))

    @property
    def first(self) -> Offer:
        """With all that was asked for, whether or not it fits: the one that lacks least."""
        best = _tightest(self.stages[0].layouts)
        return min(self._offers(best, self.caches[0]), key=lambda offer: offer.lacking_bytes)

    @property
    def smallest(self) -> Offer:
        """With everything given up but layers on the accelerator."""
        found = [self._shortest(layout) for layout in self._last_layouts()]
        return min(found, key=lambda offer: offer.lacking_bytes)

    def at(self, stage: Stage) -> Offer | None:
        layouts = [layout for layout in stage.layouts if not self.maker.is_hopeless(layout)]
        offers = (o for kind in self.caches for o in self._fitting(layouts, kind))
        return next(offers, None)

    def shorter(self) -> Offer | None:
        """The longest context that fits, where it may be traded."""
        if self.case.wishes.ctx != "auto":
            return None
        layouts = [x for x in self._last_layouts() if not self.maker.is_hopeless(x)]
        found = [self._longest(layout) for layout in layouts]
        fitting = [offer for offer in found if offer is not None]
        return max(fitting, key=lambda offer: offer.ctx, default=None)

    def experts_in_ram(self, *, traded: bool = False) -> Offer | None:
        """All that was asked for with some experts in RAM; `traded`: with the least of the rest."""
        if not (self.maker.model.experts_used and self.case.wishes.can.experts_in_ram):
            return None
        return self._offloaded(self.maker.experts_in_ram, traded)

    def layers_in_ram(self, *, traded: bool = False) -> Offer | None:
        """The same with whole layers in RAM, caches included: slower than experts there."""
        return self._offloaded(self.maker.layers_in_ram, traded)

    def plan(self, offer: Offer, rejected: tuple[Rejection, ...]) -> Plan:
        """The plan, with as much context as there is room for on accelerators, and of saved
        prompts in RAM."""
        chosen = self.maker.remembering(self._grown(offer))
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

    def _fitting(self, layouts: Iterable[Layout], cache: Cache) -> Iterator[Offer]:
        """What fits, best first. Where the fewest slots do not, more of them do not either."""
        for _, alike in groupby(layouts, key=lambda layout: layout.grouping):
            same = tuple(alike)
            if len(same) > 1 and not self.maker.offer(same[-1], self.ctx, cache).fits:
                continue
            yield from (offer for offer in self._offers(same, cache) if offer.fits)

    def _offers(self, layouts: Iterable[Layout], cache: Cache) -> Iterator[Offer]:
        for layout in layouts:
            yield self.maker.offer(layout, self.ctx, cache)

    def _last_layouts(self) -> tuple[Layout, ...]:
        return _tightest(self.stages[-1].layouts)

    def _offloaded(
        self, way: Callable[[Layout, int, Cache], Offer | None], traded: bool
    ) -> Offer | None:
        group = one_group(self.case.limits.gpus)
        stages = self.stages if traded else self.stages[:1]
        seats = [x.seating for s in stages for x in s.layouts if x.seating.workers == 1]
        layouts = [Layout((group,), seat) for seat in dict.fromkeys(seats)] if group else []
        for ctx in (self.ctx, self._least_ctx) if traded else (self.ctx,):
            for layout in layouts:
                offers = (way(layout, ctx, kind) for kind in self.caches)
                if offer := next(filter(None, offers), None):
                    return offer
        return None

    def _shortest(self, layout: Layout) -> Offer:
        return self.maker.offer(layout, self._least_ctx, self.caches[-1])

    def _longest(self, layout: Layout) -> Offer | None:
        """Contexts from the least to the asked one, in the engine's steps."""
        ladder = range(self._least_ctx, max(self.ctx, self._least_ctx + 1), CTX_STEP)
        return _last_that_fits(ladder, lambda ctx: self.maker.offer(layout, ctx, self.caches[-1]))

    def _grown(self, offer: Offer) -> Offer:
        """With the longest context that fits, where nothing was given up and a GPU reads it.

        A pool grows towards the cells that its slots would have each, wherever it is.
        """
        if offer.cache.unified:
            return self._wider(offer)
        trained = self.maker.model.context_train
        whole = offer.layout in self.stages[0].layouts
        if self.case.wishes.ctx != "auto" or not whole or offer.ctx < self.ctx:
            return offer
        if offer.layout.grouping[0] == CPU_GROUP or self._is_offloaded(offer):
            return offer
        ladder = range(self.ctx + GROWTH_STEP, trained + 1, GROWTH_STEP)
        longer = _last_that_fits(
            ladder, lambda ctx: self.maker.offer(offer.layout, ctx, offer.cache)
        )
        return longer or offer

    def _wider(self, offer: Offer) -> Offer:
        """With the largest pool that fits, of all layers where they belong."""
        slots = offer.layout.seating.slots
        if self._is_offloaded(offer):
            return offer
        ladder = range(least_pool(offer.ctx, slots), offer.ctx * slots + 1, GROWTH_STEP)
        wider = _last_that_fits(
            ladder, lambda pool: self.maker.offer(offer.layout, offer.ctx, offer.cache, pool)
        )
        return wider or offer

    def _is_offloaded(self, offer: Offer) -> bool:
        worker = offer.workers[0]
        on_host = worker.devices == (CPU_DEVICE,)
        return not on_host and (
            worker.cpu_moe_layers > 0 or worker.gpu_layers < self.maker.all_layers
        )

    def _reasons(self, offer: Offer, chosen: Offer) -> Iterator[str]:
        case, model, first = self.case, self.maker.model, self.first
        yield from explain.memory(case.limits)
        yield explain.layout(chosen.layout.seating, case.wishes)
        yield from explain.placement(chosen.workers, self.maker.all_layers)
        yield from explain.fewer_processes(first.layout, case.wishes, case.cores)
        yield from explain.purpose(model, case.wishes)
        yield explain.context(self.ctx, case.wishes, model)
        yield from explain.trades(first, chosen)
        if chosen.ctx > offer.ctx:
            yield explain.longer(chosen.ctx, offer.ctx)
        yield from explain.idle(chosen, case)
        yield from explain.spare(chosen, model, case.wishes, self.ctx)
        saved = partial(self.maker.pricer.saved_bytes, chosen.workers[0])
        yield from explain.prompt_cache(chosen.workers, saved)
        yield explain.threads(chosen.workers, case.cores)
        compute = self.maker.pricer.compute(chosen.workers[0], chosen.groups[0])
        yield from notes(model, compute)


def _last_that_fits(ladder: range, make: Callable[[int], Offer]) -> Offer | None:
    """The last of a rising ladder whose offer fits."""
    found = None
    low, high = 0, len(ladder)
    while low < high:
        middle = (low + high) // 2
        offer = make(ladder[middle])
        if offer.fits:
            found, low = offer, middle + 1
        else:
            high = middle
    return found


def _tightest(layouts: Iterable[Layout]) -> tuple[Layout, ...]:
    """With the fewest slots, for each way to use the devices."""
    return tuple({layout.grouping: layout for layout in layouts}.values())

"""From a host, models and wishes to the plan that runs. Pure, and the same every time.

Models are tried best first, each with the layouts that give the user all that was asked for, with
cells of its own for each slot, else in one pool, else in a pool of q8_0; only where no model fits,
something is given up, in this order: voters, the lane, length of context. Where that does not do,
experts go to RAM, then layers, then the whole model; and where one of these ways runs a much better
model, it is taken too (`MUCH_BETTER`).

For one model more memory never gives a way that comes later, nor in the same way less of context up
to what was asked, voters, lane, f16 and cells of its own for each slot. Context beyond what was
asked, and a pool, grow into what is left, and may shrink where more memory pays for one of these or
for another worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from local_swarm.budget import explain
from local_swarm.budget.case import Case, case_of
from local_swarm.budget.fitting import Fitter
from local_swarm.budget.lineup import Candidate, Lineup, refuse_other_byte_order
from local_swarm.budget.offer import Maker, Offer
from local_swarm.budget.pricing import PROCESS_BYTES, Answers, Beside, Pricer
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Plan, Rejection
from local_swarm.errors import FitError

MUCH_BETTER = 10.0
"""Points of quality that are worth a slower way to run a model. On 8 GB of VRAM and 32 GB of RAM
that is gpt-oss 20B with experts in RAM (97) instead of Qwen2.5 Coder 3B (84)."""


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
    asked. `UsageError` when the wishes contradict each other or the machine; `FitError` when
    nothing fits; `ModelError` when the file is of the other byte order.
    """
    refuse_other_byte_order(host, model)
    wishes = wishes.of(model)
    case = case_of(host, wishes)
    pricer = Pricer(
        model,
        engine_build,
        answers or {},
        beside or Beside(),
        process_bytes=wishes.can.process_bytes,
    )
    fitter = Fitter(Maker(case, model, model_id, pricer))
    chosen = _pick(case, lambda worth: [fitter] if fitter.quality > worth else [])
    if chosen is None:
        last = fitter if case.wants_gpus else _elsewhere(fitter, case.without_gpus)
        raise FitError(explain.does_not_fit(last.smallest, model_id), hint=_way_out(wishes))
    return chosen.plan()


def choose(
    host: HostSnapshot,
    candidates: Iterable[Candidate],
    wishes: Wishes,
    *,
    beside: Beside | None = None,
    engine_build: str | None = None,
) -> Plan:
    """The best plan for the best of the candidates, which come best first.

    Those before it are `rejected`, each with what it lacked. Raises as `plan` does, but for the
    byte order: a candidate of the other one is rejected.
    """
    case = case_of(host, wishes)
    lineup = Lineup(case, tuple(candidates), beside or Beside(), engine_build)
    chosen = _pick(case, lineup.above) if case.limits.ram.usable_bytes > PROCESS_BYTES else None
    if chosen is None:
        raise FitError("None of the models known here fits this machine.", hint=_way_out(wishes))
    return chosen.plan(lineup.rejected(chosen.fitter))


@dataclass(frozen=True, slots=True)
class _Chosen:
    fitter: Fitter
    offer: Offer

    def plan(self, rejected: tuple[Rejection, ...] = ()) -> Plan:
        return self.fitter.plan(self.offer, rejected)


Above = Callable[[float], Iterable[Fitter]]
"""The models of a higher quality than this, best first."""


def _pick(case: Case, above: Above) -> _Chosen | None:
    """The fastest way that runs a model which no slower way betters by much."""
    chosen = None
    for way in (_whole, _partly_in_ram, _on_the_cpu, _traded):
        worth = chosen.fitter.quality + MUCH_BETTER if chosen else float("-inf")
        chosen = way(case, above(worth)) or chosen
    return chosen


def _whole(case: Case, fitters: Iterable[Fitter]) -> _Chosen | None:
    """With all layers where they belong, going through all models before a thing is given up."""
    seen: list[Fitter] = []
    for number, stage in enumerate(case.stages):
        for fitter in seen if number else fitters:
            if not number:
                seen.append(fitter)
            if offer := fitter.at(stage):
                return _Chosen(fitter, offer)
    return _first(seen, Fitter.shorter)


def _partly_in_ram(case: Case, fitters: Iterable[Fitter]) -> _Chosen | None:
    """With experts or layers in RAM, and all that was asked for."""
    if not case.limits.gpus:
        return None
    return _first(fitters, Fitter.experts_in_ram, Fitter.layers_in_ram)


def _traded(case: Case, fitters: Iterable[Fitter]) -> _Chosen | None:
    """The same with other things given up: where neither the devices nor RAM alone will do."""
    if not case.limits.gpus:
        return None
    experts = partial(Fitter.experts_in_ram, traded=True)
    return _first(fitters, experts, partial(Fitter.layers_in_ram, traded=True))


def _on_the_cpu(case: Case, fitters: Iterable[Fitter]) -> _Chosen | None:
    """Not where devices were asked for."""
    if not case.limits.gpus or case.wants_gpus:
        return None
    alone = case.without_gpus
    return _whole(alone, (_elsewhere(fitter, alone) for fitter in fitters))


def _first(fitters: Iterable[Fitter], *ways: Callable[[Fitter], Offer | None]) -> _Chosen | None:
    for fitter in fitters:
        for way in ways:
            if offer := way(fitter):
                return _Chosen(fitter, offer)
    return None


def _elsewhere(fitter: Fitter, case: Case) -> Fitter:
    return Fitter(replace(fitter.maker, case=case), fitter.quality)


def _way_out(wishes: Wishes) -> str:
    by_hand = [
        name
        for name in ("ctx", "voters", "slots", "workers", "devices", "gpu_layers")
        if getattr(wishes, name) not in ("auto", 1, ())
    ]
    less = f"ask for less ({', '.join(by_hand)}), " if by_hand else ""
    return f"Free memory, {less}raise hardware.ram_fraction, or choose a smaller model."

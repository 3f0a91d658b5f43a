"""Which model runs, and its plan: the one that was named, or the best that is here and fits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from local_swarm import budget, hardware
from local_swarm.budget import Beside, Wishes
from local_swarm.config import Config
from local_swarm.domain.launch import Capabilities
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import MemoryPart, Plan, WorkerPlan
from local_swarm.engines import choose as choose_engine
from local_swarm.errors import EngineError, FitError, ModelError
from local_swarm.models import Source, Store, catalogue, read_projector, resolve
from local_swarm.models.candidates import Candidate, downloaded, listed
from local_swarm.swarm.machine import Machine, engine_label, machine

DEFAULT_MODEL = "builtin:demo"
MOST_QUESTIONS = 4
EVERYTHING = Capabilities()

Ask = Callable[[WorkerPlan, ModelFacts], tuple[MemoryPart, ...]]


def recommended(config: Config) -> str:
    """The catalogue's name of its best model that fits this machine, downloaded or not.

    The machine is as the engine sees it, or as the system does where no engine is installed yet.
    Raises FitError, UsageError, ModelError; blocks as `machine` does.
    """
    try:
        engine = choose_engine(config.engine.name, path=config.engine.path)
    except EngineError:
        host, build, can = hardware.snapshot(), None, EVERYTHING
    else:
        host, build = machine(engine).host, engine_label(engine)
        can = engine.capabilities
    candidates = listed(Store.of(config.models.cache_dir))
    return budget.choose(host, candidates, wishes(config, can), engine_build=build).model_id


def wishes(config: Config, can: Capabilities = EVERYTHING) -> Wishes:
    """`can` is what the engine that will run can do."""
    swarm, limits = config.swarm, config.hardware
    return Wishes(
        voters=swarm.voters,
        layout=swarm.layout,
        workers=swarm.workers,
        slots=swarm.slots,
        ctx=swarm.ctx,
        threads=swarm.threads,
        devices=swarm.devices,
        gpu_layers=swarm.gpu_layers,
        tensor_split=swarm.tensor_split,
        ram_fraction=limits.ram_fraction,
        gpu_memory_fraction=limits.gpu_memory_fraction,
        reserve_bytes=limits.reserve_bytes,
        cache_ram_mib=config.engine.cache_ram_mib if can.prompt_cache else 0,
        ctx_checkpoints=config.engine.ctx_checkpoints if can.prompt_cache else 0,
        can=can,
    )


@dataclass(frozen=True, slots=True)
class Chooser:
    """`ask` is how the engine is asked for sizes, None where it cannot be.

    `unseen`: models that are not downloaded may be planned for.
    """

    config: Config
    machine: Machine
    wishes: Wishes
    engine_build: str | None
    ask: Ask | None
    unseen: bool

    def choose(self, model: str | None, *, elsewhere: bool) -> tuple[ModelFacts, Plan]:
        """The facts of what runs, and its plan. `elsewhere`: on a machine that is not this one.

        Raises ModelError, FitError, UsageError.
        """
        names = (model,) if model else self.config.models.preferred
        if names:
            return self._named(names)
        return self._best_listed() if elsewhere else self._best_here()

    @property
    def _store(self) -> Store:
        return Store.of(self.config.models.cache_dir)

    def _named(self, names: Sequence[str]) -> tuple[ModelFacts, Plan]:
        """The first that is here and fits; where none needs to be here, the first that the
        catalogue knows. Raises what is wrong with the last, or that none of those here fits."""
        refusals: list[ModelError | FitError] = []
        for name in names:
            try:
                return self._planned(resolve(name, store=self._store))
            except (ModelError, FitError) as error:
                refusals.append(error)
        for name in names if self.unseen else ():
            with contextlib.suppress(ModelError):
                return self._first_that_fits(list(listed(self._store, catalogue.find(name))))
        raise next((e for e in refusals if isinstance(e, FitError)), refusals[-1])

    def _best_listed(self) -> tuple[ModelFacts, Plan]:
        return self._first_that_fits(list(listed(self._store)))

    def _best_here(self) -> tuple[ModelFacts, Plan]:
        """The best that is downloaded and fits, else the builtin one; the plan names a better one.

        Nothing is downloaded unasked.
        """
        wanted, best = self._walk(list(listed(self._store)))
        here = best if best and best.path else self._walk(list(downloaded(self._store)))[1]
        name = here.model_id if here else DEFAULT_MODEL
        facts, plan = self._planned(resolve(name, store=self._store))
        return facts, replace(
            plan,
            reasons=(*_advice(best), *plan.reasons),
            rejected=wanted.rejected if wanted else (),
        )

    def _first_that_fits(self, candidates: list[Candidate]) -> tuple[ModelFacts, Plan]:
        plan = self._choice(candidates)
        chosen = next(each for each in candidates if each.model_id == plan.model_id)
        return chosen.facts(), plan

    def _walk(self, candidates: list[Candidate]) -> tuple[Plan | None, Candidate | None]:
        """The plan of the best that fits, and which it is; None where none does."""
        try:
            plan = self._choice(candidates)
        except FitError:
            return None, None
        return plan, next(each for each in candidates if each.model_id == plan.model_id)

    def _choice(self, candidates: list[Candidate]) -> Plan:
        return budget.choose(
            self.machine.host,
            candidates,
            self.wishes,
            beside=self.beside(),
            engine_build=self.engine_build,
        )

    def _planned(self, source: Source) -> tuple[ModelFacts, Plan]:
        """One model's plan, by the engine's own figures where ours are bounds."""
        model, beside = source.facts, self.beside()
        answers: dict[WorkerPlan, tuple[MemoryPart, ...]] = {}
        while True:
            plan = budget.plan(
                self.machine.host,
                model,
                self.wishes,
                model_id=source.model_id,
                beside=beside,
                engine_build=self.engine_build,
                answers=answers,
            )
            _check_draft(model, beside, plan.workers[0])
            unsure = budget.unsure(plan.workers, model, self.engine_build)
            asked = next((worker for worker in unsure if worker.shape not in answers), None)
            unheard = () in answers.values()  # it would not say more the next time
            if asked is None or self.ask is None or unheard or len(answers) == MOST_QUESTIONS:
                return model, plan
            answers[asked.shape] = self.ask(asked, model)

    def beside(self) -> Beside:
        """What each worker loads besides the model. Reads headers; raises ModelError."""
        models = self.config.models
        projector = read_projector(Path(models.mmproj).expanduser()) if models.mmproj else None
        draft = resolve(models.draft, store=self._store).facts if models.draft else None
        return Beside(draft, projector)


def _check_draft(model: ModelFacts, beside: Beside, worker: WorkerPlan) -> None:
    if beside.draft is None:
        return
    if why := budget.why_no_draft(model, beside.draft, budget.setting_of(worker)):
        raise ModelError(
            f"models.draft cannot be used: {why}", hint="Choose another draft, or leave it out."
        )


def _advice(best: Candidate | None) -> tuple[str, ...]:
    """Names the model that would be better and is not here."""
    if best is None or best.path:
        return ()
    return (
        f"The best model of the catalogue for this machine is {best.model_id}"
        f" ({format_bytes(best.size_bytes)}), which is not downloaded:"
        f" `lswarm models pull {best.model_id}` does it.",
    )

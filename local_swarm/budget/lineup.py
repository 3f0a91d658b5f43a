"""The models that a plan may choose from, best first, and why some are not looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from local_swarm.budget import explain
from local_swarm.budget.case import Case
from local_swarm.budget.fitting import Fitter
from local_swarm.budget.offer import Maker
from local_swarm.budget.pricing import Beside, Pricer
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import Rejection
from local_swarm.errors import ModelError

BIG_ENDIAN_HOSTS = frozenset({"s390x", "ppc64"})
PHONE_PARAMETERS = 3_500_000_000


class Candidate(Protocol):
    """A model that may be chosen. `quality` is 0 to 100.

    `facts` is asked for only where the weights may fit, and may raise ModelError.
    """

    @property
    def model_id(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    @property
    def quality(self) -> float: ...

    def facts(self) -> ModelFacts: ...


@dataclass(slots=True)
class Lineup:
    """Candidates as fitters, made when they are needed."""

    case: Case
    candidates: tuple[Candidate, ...]
    beside: Beside
    build: str | None
    _made: dict[str, Fitter | Rejection] = field(default_factory=dict)

    def above(self, quality: float) -> Iterator[Fitter]:
        """Those of a higher quality that may fit, best first."""
        for candidate in self.candidates:
            if candidate.quality > quality:
                found = self._looked_at(candidate)
                if isinstance(found, Fitter):
                    yield found

    def rejected(self, chosen: Fitter) -> tuple[Rejection, ...]:
        """All before the chosen one, and what each lacked."""
        names = [candidate.model_id for candidate in self.candidates]
        before = self.candidates[: names.index(chosen.maker.model_id)]
        found = (self._looked_at(candidate) for candidate in before)
        return tuple(
            each if isinstance(each, Rejection) else _rejection(each, chosen) for each in found
        )

    def _looked_at(self, candidate: Candidate) -> Fitter | Rejection:
        name = candidate.model_id
        if name not in self._made:
            self._made[name] = self._made_of(candidate)
        return self._made[name]

    def _made_of(self, candidate: Candidate) -> Fitter | Rejection:
        name = candidate.model_id
        if why := _too_large(candidate, self.case):
            return Rejection(name, why)
        try:
            model = candidate.facts()
            refuse_other_byte_order(self.case.host, model)
        except ModelError as error:
            return Rejection(name, error.message)
        own = self.case.wishes.can.process_bytes
        pricer = Pricer(model, self.build, beside=self.beside, process_bytes=own)
        return Fitter(Maker(self.case, model, name, pricer), candidate.quality)


def _rejection(fitter: Fitter, chosen: Fitter) -> Rejection:
    first = fitter.first
    if first.fits:
        return Rejection(
            fitter.maker.model_id, f"It fits, but {chosen.maker.model_id} is much better."
        )
    return Rejection(fitter.maker.model_id, explain.lacks(first))


def refuse_other_byte_order(host: HostSnapshot, model: ModelFacts) -> None:
    """Raises ModelError."""
    if model.big_endian != (host.arch in BIG_ENDIAN_HOSTS):
        order, other = ("big", "little") if model.big_endian else ("little", "big")
        raise ModelError(
            f"{model.path} is a {order}-endian file, which an engine on {host.arch} refuses.",
            hint=f"Use the {other}-endian build of the model.",
        )


def _too_large(candidate: Candidate, case: Case) -> str | None:
    """Why a model is not even looked at."""
    if case.is_phone and candidate.parameters > PHONE_PARAMETERS:
        return (
            f"It has {candidate.parameters / 1e9:.1f} billion parameters, and more than"
            f" {PHONE_PARAMETERS / 1e9:.1f} are too slow for a phone."
        )
    pools = [pool for pool in case.limits.gpus if not pool.integrated]
    usable = case.limits.ram.usable_bytes + sum(pool.usable_bytes for pool in pools)
    if candidate.size_bytes <= usable:
        return None
    return (
        f"It lacks {format_bytes(candidate.size_bytes - usable)}: its weights alone take"
        f" {format_bytes(candidate.size_bytes)}, more than what may be used in all."
    )

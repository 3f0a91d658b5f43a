"""Models that a plan may choose from, best first: what the catalogue lists, and what is downloaded.

Facts are read only for those that are looked at. Nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from local_swarm.domain.model import ModelFacts
from local_swarm.models import catalogue
from local_swarm.models.entries import Choice, Entry, bits_per_weight
from local_swarm.models.facts import read_facts
from local_swarm.models.source import of_choice
from local_swarm.models.store import Store

GOOD_BITS = 4.2
FEW_BITS = 30.0  # points of quality that fewer bits cost: a guess, on the safe side


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model under the name by which it can be asked for. `path` is None where it is not here.

    `facts` may raise ModelError for a file that is damaged.
    """

    model_id: str
    size_bytes: int
    parameters: int
    quality: float
    path: Path | None
    facts: Callable[[], ModelFacts]


def listed(store: Store, choices: Iterable[Choice] | None = None) -> Iterator[Candidate]:
    """All of the catalogue, or these choices; each from its file where it is downloaded."""
    for choice in by_worth(catalogue.load()) if choices is None else choices:
        yield _stored(choice, store) or Candidate(
            choice.name,
            choice.planned_bytes,
            choice.entry.parameters,
            _quality(choice),
            None,
            _Prospect(choice, store).facts,
        )


def downloaded(store: Store) -> Iterator[Candidate]:
    """What the catalogue knows of that is in the store."""
    for choice in by_worth(catalogue.load()) if store.root.is_dir() else ():
        if candidate := _stored(choice, store):
            yield candidate


@dataclass(frozen=True, slots=True)
class _Prospect:
    """A model that would be downloaded to the store."""

    choice: Choice
    store: Store

    def facts(self) -> ModelFacts:
        where = self.store.root / self.choice.repo / self.choice.file.file
        return replace(catalogue.facts(self.choice), path=str(where))


def by_worth(entries: Iterable[Entry]) -> list[Choice]:
    """Best model first, best quantisation first; those of few bits after all others, because they
    lose more than a smaller model does."""
    choices = (Choice(entry, file) for entry in entries for file in entry.files)
    return sorted(choices, key=lambda choice: bits_per_weight(choice.file) < GOOD_BITS)


def _stored(choice: Choice, store: Store) -> Candidate | None:
    stored = of_choice(choice, store)
    if stored is None:
        return None
    path, size = stored.path, stored.size_bytes
    return Candidate(
        model_id=choice.name,
        size_bytes=size,
        parameters=choice.entry.parameters,
        quality=_quality(choice),
        path=path,
        facts=lambda: read_facts(path),
    )


def _quality(choice: Choice) -> float:
    return choice.entry.quality - (0.0 if bits_per_weight(choice.file) >= GOOD_BITS else FEW_BITS)

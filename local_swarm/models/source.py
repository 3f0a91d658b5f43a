"""From what a person writes after `--model` to a file on this machine and its facts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models import catalogue, references
from local_swarm.models.entries import Choice, unsplit_stem
from local_swarm.models.facts import read_facts
from local_swarm.models.store import Store, Stored

BUILTIN_DEMO = "builtin:demo"
DEMO_ID = "local-swarm-demo"
_WORKS_NOW = f"Use {BUILTIN_DEMO}, a name of `lswarm models list`, or the path of a .gguf file."


@dataclass(frozen=True, slots=True)
class Source:
    """A model file, the id under which clients know it, and what its header says."""

    path: Path
    model_id: str
    facts: ModelFacts


def resolve(reference: str, *, assets: Path | None = None, store: Store | None = None) -> Source:
    """The model that `reference` means, on this machine.

    `builtin:demo`, a path (`~` is the home directory), `family[:size[:quant]]` of the catalogue or
    `hf:owner/repo[:quant|:file]`; of what a name leaves open, the best that is downloaded. `assets`
    is where builtin models lie, `store` where downloaded ones do: the package's and the user's own
    by default. Reads the file's header; `ModelError` when there is no such file, it is not
    downloaded yet, or it cannot be used. Never touches the network.
    """
    path, model_id = _locate(reference, assets or _packaged_assets(), store or Store.of())
    return Source(path, model_id, read_facts(path))


def _locate(reference: str, assets: Path, store: Store) -> tuple[Path, str]:
    if reference.startswith("builtin:"):
        return _builtin(reference, assets), DEMO_ID
    if reference.startswith(references.PREFIX):
        stored = in_store(reference, store)
        return stored.path, stored.model_id
    path = _as_path(reference)
    if path.is_file():
        return path.absolute(), unsplit_stem(path.name)
    if _looks_like_path(reference):
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ModelError(f"The model file {path} {what}.", hint=_WORKS_NOW)
    stored = in_store(reference, store)
    return stored.path, stored.model_id


def in_store(reference: str, store: Store) -> Stored:
    """The downloaded model that a catalogue name or an `hf:` reference means, the best of several.

    `ModelError` where none is downloaded, with the command that does it.
    """
    found = next(iter(all_in_store(reference, store)), None)
    if found is None:
        raise ModelError(
            f"{reference} is not downloaded.", hint=f"Run `lswarm models pull {reference}`."
        )
    return found


def all_in_store(reference: str, store: Store) -> tuple[Stored, ...]:
    """Every downloaded model that a reference may mean, best first; `ModelError` if unknown."""
    if not reference.startswith(references.PREFIX):
        found = (of_choice(choice, store) for choice in catalogue.find(reference))
        return tuple(stored for stored in found if stored)
    wanted = references.parse(reference)
    there = store.of_repo(wanted.repo)
    if wanted.file:
        return tuple(s for s in there if wanted.file in (s.file, s.file.rpartition("/")[2]))
    if wanted.quant:
        return tuple(s for s in there if references.has_quant(s.file, wanted.quant))
    return there


def of_choice(choice: Choice, store: Store) -> Stored | None:
    """The downloaded file, by its name or its quantisation: the hub may have renamed it."""
    if exact := store.get(choice.repo, choice.file.file):
        return exact
    there = store.of_repo(choice.repo) if (store.root / choice.repo).is_dir() else ()
    return next((s for s in there if references.has_quant(s.file, choice.file.quant)), None)


def _builtin(reference: str, assets: Path) -> Path:
    if reference != BUILTIN_DEMO:
        raise ModelError(f"There is no builtin model {reference!r}.", hint=_WORKS_NOW)
    path = assets / "demo.gguf"
    if not path.is_file():
        raise ModelError(
            f"The builtin model is missing from this installation ({path}).",
            hint="Install local_swarm again, or name the path of a .gguf file.",
        )
    return path


def _packaged_assets() -> Path:
    return Path(str(resources.files("local_swarm"))) / "assets"


def _as_path(reference: str) -> Path:
    if not reference or "\0" in reference:
        raise ModelError("The model's name is empty or unreadable.", hint=_WORKS_NOW)
    try:
        return Path(reference).expanduser()
    except RuntimeError:  # `~someone` without a home
        return Path(reference)


def _looks_like_path(reference: str) -> bool:
    return reference.endswith(".gguf") or reference.startswith((".", "~")) or "/" in reference

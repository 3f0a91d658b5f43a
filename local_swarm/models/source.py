"""From what a person writes after `--model` to a file on this machine and its facts."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models.facts import read_facts

BUILTIN_DEMO = "builtin:demo"
DEMO_ID = "local-swarm-demo"
_WORKS_NOW = f"Use {BUILTIN_DEMO} or the path of a .gguf file."


@dataclass(frozen=True, slots=True)
class Source:
    """A model file, the id under which clients know it, and what its header says."""

    path: Path
    model_id: str
    facts: ModelFacts


def resolve(reference: str, *, assets: Path | None = None) -> Source:
    """The model that `reference` means: `builtin:demo` or a path (`~` is the home directory).

    `assets` is where builtin models lie, the package's own by default. Reads the file's header;
    `ModelError` when there is no such file or it cannot be used.
    """
    path, model_id = _locate(reference, assets or _packaged_assets())
    return Source(path, model_id, read_facts(path))


def _locate(reference: str, assets: Path) -> tuple[Path, str]:
    if reference.startswith("builtin:"):
        return _builtin(reference, assets), DEMO_ID
    if reference.startswith("hf:"):
        raise ModelError(
            f"Models from Hugging Face ({reference}) come with a later version.", hint=_WORKS_NOW
        )
    path = _as_path(reference)
    if path.is_file():
        return path.absolute(), path.stem
    if _looks_like_path(reference):
        what = "is a directory" if path.is_dir() else "does not exist"
        raise ModelError(f"The model file {path} {what}.", hint=_WORKS_NOW)
    raise ModelError(
        f"There is no file {reference!r}, and catalogue names come with a later version.",
        hint=_WORKS_NOW,
    )


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

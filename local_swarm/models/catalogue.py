"""The models we know by name: `conf/models.toml`, and a file of the user's own beside it.

`find` turns `family[:size[:quant]]` into choices; `facts` gives the header of one that is not here
yet, so that it can be planned for. Nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from local_swarm.config.paths import user_paths
from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ConfigError, ModelError
from local_swarm.models.entries import Catalogue, Choice, Entry, File, Score
from local_swarm.models.facts import facts_of
from local_swarm.models.prospect import header_of

FILE_NAME = "models.toml"
USUAL_QUANT = "Q4_K_M"
_KINDS = {"model": Entry, "files": File, "scores": Score}


def load(extra: Path | None = None) -> tuple[Entry, ...]:
    """Every entry, best for coding first; those of `extra` replace ours of the same name.

    Without `extra`, `models.toml` in the user's configuration directory is read where it exists.
    `ConfigError` names the file, the entry and the key that is wrong.
    """
    own = extra or user_paths().config / FILE_NAME
    entries = {entry.id: entry for entry in _shipped()}
    if extra is not None or own.is_file():
        entries.update((entry.id, entry) for entry in read(own))
    return tuple(sorted(entries.values(), key=lambda e: (-e.quality, -e.parameters, e.id)))


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of one file, in its order. `ConfigError` where it breaks a rule."""
    try:
        document = msgspec.toml.decode(path.read_bytes())
        _refuse_unknown(document, Catalogue, "")
        _flatten_headers(document)
        entries = msgspec.convert(document, Catalogue).model
    except OSError as error:
        raise ConfigError(f"The catalogue {path} cannot be read: {error.strerror}.") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(
            f"The catalogue {path} is wrong: {error}.", hint="docs/models.md shows an entry."
        ) from error
    _refuse_doubles(path, entries)
    return entries


def find(name: str, entries: Iterable[Entry] | None = None) -> tuple[Choice, ...]:
    """What `family[:size[:quant]]` leaves open: best model first, then best quantisation.

    A quantisation may be cut short (`q4` is any of four bits). `ModelError` names the nearest.
    """
    known = load() if entries is None else tuple(entries)
    family, _, rest = name.strip().lower().partition(":")
    size, _, quant = rest.partition(":")
    models = [e for e in known if e.family == family and size in ("", e.size)]
    if not models:
        raise _miss(name, family, size, known)
    found = tuple(
        Choice(entry, file)
        for entry in models
        for file in entry.files
        if _is_quant(file.quant, quant)
    )
    if not found:
        there = ", ".join(Choice(models[0], file).name for file in models[0].files)
        raise ModelError(f"The catalogue has no {name!r}.", hint=f"There is {there}.")
    return found


def usual(choices: Iterable[Choice], name: str) -> Choice:
    """The one that is meant where a single file is needed: Q4_K_M, else the middle one.

    `ModelError` where several sizes are left.
    """
    found = tuple(choices)
    sizes = list(dict.fromkeys(choice.entry.id for choice in found))
    if len(sizes) > 1:
        raise ModelError(f"{name!r} has several sizes.", hint=f"Say which: {', '.join(sizes)}.")
    preferred = [choice for choice in found if choice.file.quant == USUAL_QUANT]
    return preferred[0] if preferred else found[len(found) // 2]


def facts(choice: Choice) -> ModelFacts:
    """The facts of a model that is not downloaded, its weights spread over plausible tensors."""
    return facts_of(header_of(choice))


@cache
def _shipped() -> tuple[Entry, ...]:
    inside = Path(str(resources.files("local_swarm.models"))) / FILE_NAME
    return read(inside if inside.is_file() else Path(__file__).parents[2] / "conf" / FILE_NAME)


def _is_quant(quant: str, wanted: str) -> bool:
    return quant.lower() == wanted or quant.lower().startswith(wanted.rstrip("_"))


def _miss(name: str, family: str, size: str, known: tuple[Entry, ...]) -> ModelError:
    families = dict.fromkeys(entry.family for entry in known)
    if family in families:
        near = ", ".join(entry.id for entry in known if entry.family == family)
        return ModelError(
            f"The catalogue has no {family} of size {size!r}.", hint=f"It has {near}."
        )
    nearest = _closest(f"{family}:{size}" if size else family, known)
    return ModelError(
        f"There is no file {name!r}, and the catalogue has no such model.",
        hint=f"The nearest known one is {nearest}; `lswarm models list` shows all.",
    )


def _closest(name: str, known: tuple[Entry, ...]) -> str:
    whole = ":" in name
    names = dict.fromkeys(entry.id if whole else entry.family for entry in known)
    return max(names, key=lambda known: SequenceMatcher(None, name, known).ratio(), default="")


def _refuse_unknown(value: Any, kind: Any, where: str) -> None:
    """`ValueError` naming the first key that `kind` does not have, and the nearest it has."""
    if not isinstance(value, dict):
        return
    fields = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key, inside in value.items():
        if key not in fields:
            near = max(fields, key=lambda known: SequenceMatcher(None, key, known).ratio())
            raise ValueError(
                f"{where or 'it'} has the unknown key {key!r}, the nearest is {near!r}"
            )
        if key in _KINDS and isinstance(inside, list):
            for item in inside:
                _refuse_unknown(item, _KINDS[key], _label(item, where))


def _flatten_headers(document: Any) -> None:
    """`attention.head_count` is a table in a table for TOML, and one key for us."""
    for model in document.get("model", ()):
        if isinstance(model.get("header"), dict):
            model["header"] = dict(_flat(model["header"], ""))


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _label(item: Any, where: str) -> str:
    if isinstance(item, dict) and "family" in item:
        return f"{item['family']}:{item.get('size', '?')}"
    return where


def _refuse_doubles(path: Path, entries: tuple[Entry, ...]) -> None:
    names = [Choice(entry, file).name for entry in entries for file in entry.files]
    ids = [entry.id for entry in entries]
    twice = [name for known in (ids, names) for name in known if known.count(name) > 1]
    if twice:
        raise ConfigError(f"The catalogue {path} has {twice[0]} twice.", hint="Remove one of them.")

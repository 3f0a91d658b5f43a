"""What `lswarm models` shows, as plain documents. Only `details(remote=True)` asks the network."""

from __future__ import annotations

from typing import Any

import msgspec

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models import catalogue, hub, references
from local_swarm.models.download import Puller
from local_swarm.models.entries import Choice, Entry
from local_swarm.models.facts import read_facts
from local_swarm.models.pulling import look_up
from local_swarm.models.source import all_in_store, in_store
from local_swarm.models.store import Store, Stored


def rows(store: Store, *, only_pulled: bool = False) -> list[dict[str, Any]]:
    """One row per model of the catalogue, best first, then what else is in the store."""
    here = {(stored.repo, stored.file): stored for stored in store.all()}
    found = [_row(entry, here) for entry in catalogue.load()]
    found += [_foreign(stored) for stored in here.values()]
    return [row for row in found if row["pulled"] or not only_pulled]


def details(name: str, store: Store, *, remote: bool = False) -> dict[str, Any]:
    """Everything known of one model; `ModelError` for an unknown name."""
    document: dict[str, Any] = {"name": name, "entry": None, "choices": []}
    if not name.startswith(references.PREFIX):
        choices = catalogue.find(name)
        document["name"] = choices[0].entry.id
        document["entry"] = _entry(choices[0].entry)
        document["choices"] = [_choice(c) for c in choices if c.entry == choices[0].entry]
    here = all_in_store(name, store)
    document["pulled"] = [_stored(stored) for stored in here]
    document["facts"] = _facts(name, here)
    if remote:
        wanted = look_up(name, Puller(store))
        found = hub.read_remote_facts(wanted.listing.repo, wanted.names[0])
        document["remote"] = {
            "repo": wanted.listing.repo,
            "revision": wanted.listing.revision,
            "files": list(wanted.names),
            "size_bytes": wanted.size_bytes,
            "facts": _as_document(found),
        }
    return document


def the_one(name: str, store: Store) -> Stored:
    """The one downloaded model that a name means; `ModelError` where there are several or none."""
    found = all_in_store(name, store)
    if len(found) > 1:
        raise ModelError(
            f"{name} means several downloaded models.",
            hint=f"Say which: {', '.join(stored.reference for stored in found)}.",
        )
    return in_store(name, store)


def _row(entry: Entry, here: dict[tuple[str, str], Stored]) -> dict[str, Any]:
    choices = [Choice(entry, file) for file in entry.files]
    pulled = {c.name: here.pop((c.repo, c.file.file), None) for c in choices}
    return {
        "name": entry.id,
        "title": entry.name,
        "parameters": entry.parameters,
        "active_parameters": entry.active_parameters,
        "context": entry.context,
        "licence": entry.licence,
        "quality": entry.quality,
        "files": [_choice(choice) for choice in choices],
        "pulled": [_stored(stored) for stored in pulled.values() if stored],
    }


def _foreign(stored: Stored) -> dict[str, Any]:
    unknown = ("parameters", "active_parameters", "context", "licence", "quality")
    return {
        "name": stored.reference,
        "title": stored.model_id,
        **dict.fromkeys(unknown),
        "files": [],
        "pulled": [_stored(stored)],
    }


def _choice(choice: Choice) -> dict[str, Any]:
    return {
        "name": choice.name,
        "quant": choice.file.quant,
        "repo": choice.repo,
        "files": list(choice.file.names),
        "size_bytes": choice.file.size_bytes,
        "planned_bytes": choice.planned_bytes,
        "sha256": choice.file.sha256,
    }


def _stored(stored: Stored) -> dict[str, Any]:
    return {
        "reference": stored.reference,
        "path": str(stored.path),
        "files": len(stored.paths),
        "size_bytes": stored.size_bytes,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(entry)
    document.pop("files")
    return document


def _facts(name: str, here: tuple[Stored, ...]) -> dict[str, Any] | None:
    """Of the file where it is here, else of the catalogue."""
    if here:
        return _as_document(read_facts(here[0].path))
    if name.startswith(references.PREFIX):
        return None
    return _as_document(catalogue.facts(catalogue.find(name)[0]))


def _as_document(facts: ModelFacts) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(facts)
    document["tensors"] = len(facts.tensors)
    return document

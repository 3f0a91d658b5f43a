"""A name, from the catalogue or of the hub, to a downloaded model; and the check of one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from local_swarm.errors import ModelError
from local_swarm.models import catalogue, references
from local_swarm.models.download import Puller, Report, silent
from local_swarm.models.facts import read_facts
from local_swarm.models.hub import CHUNK_BYTES, Listing
from local_swarm.models.references import HubReference
from local_swarm.models.store import Stored, read_origin


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a pull is about to bring: the files, in order, of a repository as it is now."""

    listing: Listing
    names: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        return sum(self.listing[name].size_bytes for name in self.names)


def look_up(reference: str, puller: Puller) -> Wanted:
    """Asks the hub what `family:size[:quant]` or `hf:owner/repo[:quant|:file]` is there.

    `ModelError` for an unknown name, a name with several sizes, and whatever the hub refuses.
    """
    if reference.startswith(references.PREFIX):
        wanted = references.parse(reference)
        listing = puller.listing(wanted.repo)
        first = references.chosen(wanted, listing.names)
        return Wanted(listing, references.parts_of(first, listing.names))
    choice = catalogue.usual(catalogue.find(reference), reference)
    listing = puller.listing(choice.repo)
    first = choice.file.file
    if first not in listing.names:  # renamed since the catalogue was written
        first = references.chosen(HubReference(choice.repo, choice.file.quant), listing.names)
    return Wanted(listing, references.parts_of(first, listing.names))


def problems(stored: Stored, report: Report = silent) -> Iterator[str]:
    """What is wrong with a downloaded model, one sentence each; nothing where all is well.

    Reads every byte to compare with the checksum it was downloaded by, then the header.
    """
    before = 0
    for path in stored.paths:
        origin = read_origin(path)
        size = path.stat().st_size
        if origin and origin.size_bytes != size:
            yield f"{path.name} has {size} bytes, not {origin.size_bytes}"
        elif origin and origin.sha256:
            far = partial(_far, report, before, stored.size_bytes)
            if _sha256(path, far) != origin.sha256:
                yield f"{path.name} does not have the checksum it was downloaded with"
        before += size
    try:
        read_facts(stored.path)
    except ModelError as error:
        yield error.message


def _far(report: Report, before: int, total: int, here: int) -> None:
    report(before + here, total)


def has_checksum(stored: Stored) -> bool:
    """Whether every part was downloaded here, and so has a checksum to compare with."""
    origins = [read_origin(path) for path in stored.paths]
    return all(origin is not None and origin.sha256 for origin in origins)


def _sha256(path: Path, report: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            report(file.tell())
    return digest.hexdigest()

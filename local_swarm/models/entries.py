"""The shape of the catalogue: what one entry of `conf/models.toml` says of a model. Pure."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.\-]*\Z")]
Quant = Annotated[str, Meta(pattern=r"^[A-Z0-9_]+\Z")]
Repo = Annotated[str, Meta(pattern=r"^[\w\-.]+/[\w\-.]+\Z")]
FileName = Annotated[str, Meta(pattern=r"^(?![/.])[\w\-./]+\.gguf\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Positive = Annotated[int, Meta(gt=0)]
Scalar = int | float | bool | str

_PART = re.compile(r"-00001-of-(\d{5})\.gguf\Z")

# Bits per weight of llama.cpp's quantisations: its tools/quantize/README.md, Llama 3.1 8B.
BITS_PER_WEIGHT = {
    "Q2_K": 3.16,
    "Q3_K_M": 4.00,
    "Q4_0": 4.66,
    "Q4_K_S": 4.67,
    "Q4_K_M": 4.89,
    "Q5_K_M": 5.70,
    "Q6_K": 6.56,
    "Q8_0": 8.50,
    "F16": 16.0,
    "BF16": 16.0,
}


class Score(Struct, frozen=True, forbid_unknown_fields=True):
    """A published figure and who published it."""

    benchmark: Annotated[str, Meta(min_length=1)]
    value: Annotated[float, Meta(ge=0, le=100)]
    source: Annotated[str, Meta(min_length=1)]


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """One quantisation: the file (the first of its parts, where it is split) in its repository.

    `size_bytes` (of all parts) and `sha256` (of an unsplit file) are None where nobody published
    them; `repo` is empty where it is the entry's own.
    """

    quant: Quant
    file: FileName
    size_bytes: Positive | None = None
    sha256: Sha256 | None = None
    repo: Repo | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All parts, in order."""
        return part_names(self.file)


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One model. `header` holds the keys of its GGUF header, without the architecture's prefix.

    `quality` orders the catalogue for coding, 0 to 100; `quality_basis` says where it comes from.
    `tied`: the file stores one table for embeddings and output. `chat`: it has a chat template.
    `context` is what its makers vouch for. `files` go from the best quantisation to the smallest.
    """

    family: Name
    size: Name
    name: Annotated[str, Meta(min_length=1)]
    repo: Repo
    licence: Annotated[str, Meta(min_length=1)]
    parameters: Positive
    context: Positive
    quality: Annotated[float, Meta(ge=0, le=100)]
    quality_basis: Annotated[str, Meta(min_length=1)]
    arch: Name
    header: dict[str, Scalar | list[int | float | bool]]
    header_source: Annotated[str, Meta(min_length=1)]
    files: Annotated[tuple[File, ...], Meta(min_length=1)]
    vocabulary: Positive
    scores: tuple[Score, ...] = ()
    active_parameters: Positive | None = None
    tied: bool = False
    chat: bool = True
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.family}:{self.size}"


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    model: tuple[Entry, ...]


class Choice(Struct, frozen=True):
    """One quantisation of one model: what `family:size:quant` names."""

    entry: Entry
    file: File

    @property
    def name(self) -> str:
        return f"{self.entry.id}:{self.file.quant.lower()}"

    @property
    def repo(self) -> str:
        return self.file.repo or self.entry.repo

    @property
    def planned_bytes(self) -> int:
        """The file's size, or what its quantisation takes on average and a little more."""
        if self.file.size_bytes is not None:
            return self.file.size_bytes
        return int(self.entry.parameters * bits_per_weight(self.file) / 8 * 1.03)


def bits_per_weight(file: File) -> float:
    """On average; as many as there can be where the quantisation is not known."""
    return BITS_PER_WEIGHT.get(file.quant, 16.0)


def part_names(first: str) -> tuple[str, ...]:
    """The names of all parts, given the first one's; just itself where it is not split."""
    match = _PART.search(first)
    if match is None:
        return (first,)
    stem, count = first[: match.start()], int(match[1])
    return tuple(f"{stem}-{part:05d}-of-{match[1]}.gguf" for part in range(1, count + 1))


def unsplit_stem(name: str) -> str:
    """A file's name without directory, `.gguf` and part number: the id clients know it by."""
    base = name.rpartition("/")[2]
    return re.sub(r"(-\d{5}-of-\d{5})?\.gguf\Z", "", base)

"""What `hf:owner/repo[:quant|:file]` says, and which of a repository's files it means. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from local_swarm.errors import ModelError
from local_swarm.models.entries import part_names, unsplit_stem

PREFIX = "hf:"
_REPO = re.compile(r"[\w\-.]+/[\w\-.]+\Z")
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}\.gguf\Z")
_USUAL = ("q4_k_m", "mxfp4", "q4_k_s", "q4_0", "q8_0")


@dataclass(frozen=True, slots=True)
class HubReference:
    """A repository, and the quantisation or the file wanted of it (one of them, or neither)."""

    repo: str
    quant: str = ""
    file: str = ""


def parse(reference: str) -> HubReference:
    """Reads `hf:owner/repo[:quant|:file]`; `ModelError` where it is not of that form."""
    repo, _, rest = reference.removeprefix(PREFIX).partition(":")
    if not _REPO.match(repo) or ".." in repo or ".." in rest or rest.startswith("/"):
        raise ModelError(
            f"{reference!r} does not name a repository.",
            hint="Write hf:owner/repo, hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf.",
        )
    if rest.endswith(".gguf"):
        return HubReference(repo, file=rest)
    return HubReference(repo, quant=rest)


def chosen(reference: HubReference, names: Iterable[str]) -> str:
    """The file that is meant, among all of the repository (of a split one, the first part).

    Without a quantisation: the only model there is, else the usual one. `ModelError` says what
    there is instead.
    """
    models = sorted(n for n in names if is_model(n))
    if not models:
        raise ModelError(
            f"{reference.repo} holds no .gguf model.",
            hint="Look for a repository whose name ends in -GGUF.",
        )
    found = _matching(reference, models)
    if len(found) == 1:
        return found[0]
    problem = "holds no" if not found else "holds several files for"
    wanted = reference.file or reference.quant or "the usual quantisation"
    shown = ", ".join((found or models)[:12])
    raise ModelError(
        f"{reference.repo} {problem} {wanted}.",
        hint=f"Name one: hf:{reference.repo}:FILE, with FILE one of {shown}.",
    )


def is_model(name: str) -> bool:
    """Whether a file is a model's first part: no later part, no projector, no matrix."""
    base = name.rpartition("/")[2].lower()
    return (
        base.endswith(".gguf")
        and not _LATER_PART.search(base)
        and not base.startswith(("mmproj", "imatrix", "mtp-"))
        and "imatrix.gguf" not in base
    )


def parts_of(first: str, names: Iterable[str]) -> tuple[str, ...]:
    """All parts of the model that starts with `first`; `ModelError` where one is missing."""
    parts, there = part_names(first), set(names)
    missing = [part for part in parts if part not in there]
    if missing:
        raise ModelError(
            f"The repository lacks {missing[0]}, one of {len(parts)} parts of {first}.",
            hint="Choose another file of it.",
        )
    return parts


def has_quant(name: str, quant: str) -> bool:
    """Whether a file name carries the quantisation, as a word: `Q4_K_M` but not `UD-Q4_K_M`."""
    stem = unsplit_stem(name).lower()
    tail = stem.endswith((f"-{quant.lower()}", f".{quant.lower()}", f"_{quant.lower()}"))
    return tail and not stem.endswith(f"-ud-{quant.lower()}")


def _matching(reference: HubReference, models: list[str]) -> list[str]:
    if reference.file:
        exact = [n for n in models if n == reference.file]
        return exact or [n for n in models if n.rpartition("/")[2] == reference.file]
    if reference.quant:
        return _fewest_parts(n for n in models if has_quant(n, reference.quant))
    if len(models) == 1:
        return models
    for quant in _USUAL:
        if found := _fewest_parts(n for n in models if has_quant(n, quant)):
            return found
    return []


def _fewest_parts(names: Iterable[str]) -> list[str]:
    """A file that is there whole and in parts is meant whole."""
    found = list(names)
    fewest = min((len(part_names(n)) for n in found), default=0)
    return [n for n in found if len(part_names(n)) == fewest]

"""The table of architectures: `architectures.toml`, read once.

The table is data of one llama.cpp version, shipped in the package. An architecture it does not
name gets `known=False`, which means: whole context in every layer, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import msgspec

RecurrentLayers = Literal["none", "all", "beside", "headless", "idle", "interval"]
State = Literal["none", "mamba", "mamba2", "delta", "wkv", "shortconv", "kda", "lightning"]
Layout = Literal["fitted", "apart"]
FeedForward = Literal["gated", "fused", "plain", "experts"]


@dataclass(frozen=True, slots=True)
class WindowRule:
    """When and where attention slides; the words are those of the table's [window]."""

    size: int = 0
    forced: int = 0
    period: int | None = None
    dense_first: bool = False
    flags: bool = False
    layers: int | None = None


@dataclass(frozen=True, slots=True)
class RecurrentRule:
    layers: RecurrentLayers = "none"
    state: State = "none"
    interval: int = 0


@dataclass(frozen=True, slots=True)
class IndexerRule:
    layers: Literal["all", "listed", "after_dense"]
    default: bool = False
    values: bool = False


@dataclass(frozen=True, slots=True)
class Architecture:
    """What the engine does with models of one architecture.

    `shared_from` is the first layer without a cache of its own; `shares_declared` says that the
    file gives their number. `drafts_cached` and `drafts_loaded` are about drafting blocks.
    `compute` is None where the compute buffer is only bounded.
    """

    name: str
    known: bool = True
    caches: bool = True
    window: WindowRule | None = None
    recurrent: RecurrentRule = RecurrentRule()
    latent: bool = False
    indexer: IndexerRule | None = None
    shared_from: int | None = None
    shares_declared: bool = False
    drafts_cached: bool = False
    drafts_loaded: bool = False
    output_first: bool = False
    rope_full_only: bool = False
    compute: FeedForward | None = None


@cache
def architecture(name: str) -> Architecture:
    """The rules of the architecture that `name` (`general.architecture`) stands for."""
    table = _table()
    window, recurrent = table["window"].get(name), table["recurrent"].get(name)
    indexer, shared = table["indexer"].get(name), table["shared"].get(name, {})
    return Architecture(
        name=name,
        known=name in known_names(),
        caches=name not in table["cacheless"],
        window=WindowRule(**window) if window is not None else None,
        recurrent=RecurrentRule(**recurrent) if recurrent else RecurrentRule(),
        latent=name in table["latent"]["names"],
        indexer=IndexerRule(**indexer) if indexer else None,
        shared_from=shared.get("from"),
        shares_declared=shared.get("declared", False),
        drafts_cached=name in table["drafts"]["cached"],
        drafts_loaded=name in table["drafts"]["loaded"],
        output_first=name in table["weights"]["output_first"],
        rope_full_only=name in table["weights"]["rope_full_only"],
        compute=table["compute"].get(name),
    )


@cache
def known_names() -> frozenset[str]:
    """Every architecture the table has rules for."""
    table = _table()
    sections = ("plain", "cacheless", "window", "recurrent", "indexer", "shared")
    names = {name for section in sections for name in table[section]}
    return frozenset(names | set(table["latent"]["names"]) | set(table["drafts"]["cached"]))


def layouts_of(build: str | None) -> tuple[Layout, ...]:
    """How the named engine build lays out its graphs; every way known where it was not measured."""
    builds: Mapping[str, Layout] = _table()["builds"]
    known = builds.get(build) if build else None
    return (known,) if known else tuple(sorted(set(builds.values())))


def llama_cpp_version() -> str:
    """Which llama.cpp the table is of."""
    return str(_table()["llama_cpp"])


@cache
def _table() -> Mapping[str, Any]:
    text = (resources.files("local_swarm.budget") / "architectures.toml").read_text("utf-8")
    return msgspec.toml.decode(text, type=dict[str, Any])

"""`lswarm estimate`."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import click

from local_swarm.cli import options
from local_swarm.errors import UsageError

if TYPE_CHECKING:
    from local_swarm.budget.context import Setting
    from local_swarm.budget.estimate import Estimate
    from local_swarm.domain.model import ModelFacts
    from local_swarm.domain.plan import FlashAttention

DEFAULT_CTX = 16384
MOST_TOKENS = 1 << 30
MOST_SLOTS = 256  # LLAMA_MAX_SEQ


@click.command()
@click.argument("model")
@click.option("--ctx", metavar="N,...", help="Context of the engine in all, over all slots.")
@click.option("--slots", metavar="N,...", default="1", show_default=True, help="Sequences.")
@click.option("--cache-type", metavar="T,...", default="f16", show_default=True, help="T or K:V.")
@click.option("--kv-unified/--no-kv-unified", help="One pool for all slots (default: split).")
@click.option("--swa-full", is_flag=True, help="Sliding windows keep the whole context.")
@click.option("--ubatch", metavar="N", default="512", show_default=True, help="Tokens at once.")
@click.option("--flash-attn", metavar="F", default="auto", help="auto, on or off.")
@options.as_json
@options.general
def estimate(
    config_path: str | None,
    verbose: bool,
    model: str,
    ctx: str | None,
    slots: str,
    cache_type: str,
    kv_unified: bool,
    swa_full: bool,
    ubatch: str,
    flash_attn: str,
    json_: bool,
) -> None:
    """Show what a model takes in memory, without loading it.

    One row for each combination of what is given as a list. --ctx is the engine's own -c, which
    all slots share; the default is 16384, or what the model was trained on.
    """
    from local_swarm.budget.context import Setting
    from local_swarm.budget.estimate import estimate as make_estimate
    from local_swarm.models import resolve

    flash = _flash_attention(flash_attn)
    tokens = _number("--ubatch", ubatch, MOST_TOKENS)
    contexts = [] if ctx is None else _numbers("--ctx", ctx, MOST_TOKENS)
    counts = _numbers("--slots", slots, MOST_SLOTS)
    types = [_cache_types(text) for text in cache_type.split(",")]
    facts = resolve(model).facts
    build = _installed_build()
    contexts = contexts or [min(DEFAULT_CTX, facts.context_train)]
    rows = []
    for total, count, (kind_k, kind_v) in itertools.product(contexts, counts, types):
        setting = Setting(
            ctx=total,
            slots=count,
            kv_unified=kv_unified,
            swa_full=swa_full,
            cache_type_k=kind_k,
            cache_type_v=kind_v,
            ubatch=tokens,
            flash_attention=flash,
        )
        _check(facts, setting)
        rows.append(make_estimate(facts, setting, build=build))
    _show(facts, rows, json_=json_)


def _installed_build() -> str | None:
    """The engine that would run, as the budget names it; None where it is a binary of any build."""
    import shutil
    from importlib import metadata

    if shutil.which("llama-server"):
        return None
    try:
        return f"xllamacpp {metadata.version('xllamacpp')}"
    except metadata.PackageNotFoundError:
        return None


def _show(model: ModelFacts, rows: list[Estimate], *, json_: bool) -> None:
    document = {"model": _model(model), "rows": [_row(row) for row in rows]}
    if json_:
        click.echo(json.dumps(document, indent=2))
        return
    from local_swarm.cli import render

    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    render.estimate(document, notes)


def _model(model: ModelFacts) -> dict[str, Any]:
    return {
        "arch": model.arch,
        "name": model.name,
        "size_bytes": model.size_bytes,
        "layers": model.layers,
        "context_train": model.context_train,
    }


def _row(made: Estimate) -> dict[str, Any]:
    setting, context = made.setting, made.context
    return {
        "ctx": setting.ctx,
        "slots": setting.slots,
        "kv_unified": setting.kv_unified,
        "swa_full": setting.swa_full,
        "cache_type_k": setting.cache_type_k,
        "cache_type_v": setting.cache_type_v,
        "ubatch": setting.ubatch,
        "cells": context.cells,
        "cells_swa": context.cells_swa,
        "kv_full_bytes": context.kv_full_bytes,
        "kv_swa_bytes": context.kv_swa_bytes,
        "recurrent_bytes": context.recurrent_bytes,
        "context_bytes": context.bytes,
        "weights_bytes": made.weights_bytes,
        "output_bytes": made.output_bytes,
        "compute_bytes": made.compute.bytes,
        "compute_method": made.compute.method,
        "total_bytes": made.total_bytes,
    }


def _check(model: ModelFacts, setting: Setting) -> None:
    """Refuses what the engine would refuse."""
    from local_swarm.budget.kv import CACHE_TYPES, can_hold
    from local_swarm.budget.layers import keeps_values

    for kind in (setting.cache_type_k, setting.cache_type_v):
        if not can_hold(model, kind):
            raise UsageError(
                f"A {kind} cache cannot hold this model: its heads are {model.key_length} and"
                f" {model.value_length} long, which is not a multiple of {CACHE_TYPES[kind][0]}.",
                hint="Use f16.",
            )
    if not keeps_values(model):
        if setting.cache_type_k != setting.cache_type_v:
            raise UsageError(
                "This model's latent attention keeps no values, so K and V have one type.",
                hint=f"Use --cache-type {setting.cache_type_k}.",
            )
    elif setting.transposed and CACHE_TYPES[setting.cache_type_v][0] > 1:
        raise UsageError(
            f"A {setting.cache_type_v} cache of values needs flash attention.",
            hint="Leave --flash-attn at auto, or use f16 for V.",
        )


def _flash_attention(text: str) -> FlashAttention:
    if text == "auto":
        return "auto"
    if text in ("on", "off"):
        return "on" if text == "on" else "off"
    raise UsageError(f"--flash-attn is {text!r}.", hint="Use auto, on or off.")


def _cache_types(text: str) -> tuple[str, str]:
    from local_swarm.budget.kv import CACHE_TYPES

    key, both, value = text.strip().partition(":")
    found = key, value if both else key
    for kind in found:
        if kind not in CACHE_TYPES:
            names = ", ".join(CACHE_TYPES)
            raise UsageError(f"There is no cache type {kind!r}.", hint=f"Use one of {names}.")
    return found


def _numbers(name: str, text: str, most: int) -> list[int]:
    return [_number(name, part, most) for part in text.split(",")]


def _number(name: str, text: str, most: int) -> int:
    cleaned = text.strip()
    if not (cleaned.isascii() and cleaned.isdigit() and len(cleaned) < 12):
        raise UsageError(f"{name} is {text!r}.", hint=f"Give numbers from 1 to {most}.")
    if not 1 <= int(cleaned) <= most:
        raise UsageError(f"{name} is {text!r}.", hint=f"Give numbers from 1 to {most}.")
    return int(cleaned)

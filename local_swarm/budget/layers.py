"""Which layer of a model keeps what: K and V, for the whole context or a window, and state.

Source: llama.cpp src/llama-model.cpp `create_memory`, src/llama-hparams.cpp and src/models/*.cpp
`load_arch_hparams`, as of the version in llama-cpp-python 0.3.36. The file's declarations count
only where the architecture's rules (`architectures.toml`) say that the engine reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from local_swarm.budget.architectures import Architecture, WindowRule, architecture
from local_swarm.domain.model import ModelFacts, Recurrence


@dataclass(frozen=True, slots=True)
class Layer:
    """What one layer keeps.

    `key_values` and `value_values` are values per cell of its cache, and `value_room` what V takes
    where it lies transposed; 0 where it has none. `slides` says that the cache covers a window
    only. `index_keys` and `index_values` are those of
    a sparse attention's indexer. `conv_values` and `state_values` are kept for each slot.
    """

    number: int
    slides: bool = False
    key_values: int = 0
    value_values: int = 0
    value_room: int = 0
    index_keys: int = 0
    index_values: int = 0
    conv_values: int = 0
    state_values: int = 0


@lru_cache(maxsize=64)
def layers_of(model: ModelFacts) -> tuple[Layer, ...]:
    """Every layer of the model, drafting blocks and repetitions included, in order."""
    rules = architecture(model.arch)
    conv, state = state_values(model, rules.recurrent.state)
    attending = _attending(model, rules)
    return tuple(
        replace(layer, conv_values=conv, state_values=state) if recurs else layer
        for layer, recurs in zip(attending, recurring(model, rules), strict=True)
    )


def keeps_values(model: ModelFacts) -> bool:
    """Whether the cache has V: latent attention keeps K alone."""
    return not (architecture(model.arch).latent and model.latent)


def window_size(model: ModelFacts, rules: Architecture) -> int:
    """Tokens the engine's window covers, 0 where it uses none whatever is declared."""
    rule = rules.window
    if rule is None or (rule.layers is not None and _trunk(model) != rule.layers):
        return 0
    declared = rule.size if model.window.size is None else model.window.size
    return (rule.forced or declared) if declared else 0


def sliding(model: ModelFacts, rules: Architecture) -> tuple[bool, ...]:
    """One flag per layer: whether its attention slides."""
    rule, total = rules.window, model.layers * model.loops
    if rule is None or not window_size(model, rules):
        return (False,) * total
    pattern = model.window.pattern
    if isinstance(pattern, tuple) and rule.period != 0:
        return tuple(pattern[number % model.layers] for number in range(total))
    if rule.flags:
        return (False,) * total
    period = pattern if isinstance(pattern, int) and rule.period else rule.period
    return tuple(
        number < _trunk(model) and _slides(rule, period or 0, number) for number in range(total)
    )


def _slides(rule: WindowRule, period: int, number: int) -> bool:
    """llama-hparams.cpp `set_swa_pattern`; period 0 means that every layer slides."""
    if period == 0:
        return True
    return number % period != 0 if rule.dense_first else number % period < period - 1


def recurring(model: ModelFacts, rules: Architecture) -> tuple[bool, ...]:
    """One flag per layer: whether it keeps recurrent state."""
    trunk = _trunk(model)
    return tuple(
        number < trunk and _recurs(model, rules, number) for number in range(_total(model))
    )


def _recurs(model: ModelFacts, rules: Architecture, number: int) -> bool:
    kind, n = rules.recurrent.layers, number % model.layers
    if kind == "headless":
        return model.heads_kv[n] == 0
    if kind == "idle":
        return model.heads_kv[n] == 0 and _feed_forward(model, n) == 0
    if kind == "interval":
        listed = model.recurrence.layers
        if listed is not None:
            return listed[n]
        interval = model.recurrence.interval or rules.recurrent.interval
        return (n + 1) % interval != 0
    return kind in ("all", "beside")


def state_values(model: ModelFacts, state: str) -> tuple[int, int]:
    """Values of convolution and of state that one recurrent layer keeps for each slot.

    Source: llama-hparams.cpp `n_embd_r` and `n_embd_s`.
    """
    has = model.recurrence
    heads = model.heads_by_layer[0] if model.heads_by_layer else model.heads
    if state == "wkv":
        return has.token_shifts * model.embedding_length, model.embedding_length * has.wkv_head
    if state == "shortconv":
        return model.embedding_length * max(0, has.shortconv - 1), 0
    if state == "kda":
        shifts = has.conv_kernel - 1 if has.conv_kernel else 3
        return 3 * shifts * heads * has.kda_head, has.kda_head**2 * heads
    if state == "lightning":
        return 0, model.key_length**2 * heads
    if state in ("mamba", "mamba2", "delta"):
        return _conv_values(has, grouped=state != "mamba"), has.state * has.inner
    return 0, 0


def _conv_values(has: Recurrence, *, grouped: bool) -> int:
    return max(0, has.conv_kernel - 1) * (
        has.inner + (2 * has.groups * has.state if grouped else 0)
    )


def _attending(model: ModelFacts, rules: Architecture) -> Iterator[Layer]:
    """The layers without their state.

    Transposed V takes the most that any layer's V does: llama-kv-cache.cpp [TAG_V_CACHE_VARIABLE].
    """
    slides = sliding(model, rules)
    sizes = [_key_value_values(model, number, slides[number]) for number in range(len(slides))]
    widest = max((value for _, value in sizes), default=0)
    keeps = keeps_values(model)
    for number, (key, value) in enumerate(sizes):
        if not _attends(model, rules, number):
            yield Layer(number, slides[number])
            continue
        index_keys, index_values = _indexer(model, rules, number)
        yield Layer(
            number,
            slides[number],
            key_values=key,
            value_values=value if keeps else 0,
            value_room=widest if keeps else 0,
            index_keys=index_keys,
            index_values=index_values,
        )


def _key_value_values(model: ModelFacts, number: int, slides: bool) -> tuple[int, int]:
    heads, special = model.heads_kv[number % model.layers], model.window
    key = (special.key_length if slides else 0) or model.key_length
    value = (special.value_length if slides else 0) or model.value_length
    return key * heads, value * heads


def _attends(model: ModelFacts, rules: Architecture, number: int) -> bool:
    if not rules.caches or (number >= _trunk(model) and not rules.drafts_cached):
        return False
    if rules.shared_from is not None and number >= rules.shared_from:
        return False
    if rules.shares_declared and number >= model.layers - model.shared_kv_layers:
        return False
    kind = rules.recurrent.layers
    if kind == "idle" and _feed_forward(model, number % model.layers):
        return False
    return kind == "beside" or not (kind != "none" and _recurs(model, rules, number))


def _indexer(model: ModelFacts, rules: Architecture, number: int) -> tuple[int, int]:
    """Keys and values per cell of the layer's indexer."""
    rule, has = rules.indexer, model.indexer
    if rule is None:
        return 0, 0
    if rule.layers == "after_dense":
        owns = number >= model.lead_dense
    elif rule.layers == "listed":
        owns = has.full[number] if has.full else rule.default
    else:
        owns = True
    if not owns:
        return 0, 0
    return has.key_length * (3 if has.pooled else 1), model.value_length if rule.values else 0


def _feed_forward(model: ModelFacts, number: int) -> int:
    return model.feed_forward[number] if model.feed_forward else 0


def _total(model: ModelFacts) -> int:
    return model.layers * model.loops


def _trunk(model: ModelFacts) -> int:
    """Layers that answer; those behind them only draft."""
    return _total(model) - model.nextn_layers

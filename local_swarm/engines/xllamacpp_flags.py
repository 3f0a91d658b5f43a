"""llama-server's flags as settings of xllamacpp.CommonParams.

The wheel has no parser of its own, so each flag is one row here: its spellings, how to read its
value, and where it goes. What is not here needs the native llama-server. Imports nothing heavy:
the planner checks flags with it, the runner applies them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local_swarm.engines.flag_table import Apply, Flag, FlagError, Table, put
from local_swarm.engines.xllamacpp_values import (
    cpu_range,
    experts_on_cpu,
    json_object,
    on_off,
    rope_scale,
    tensor_split,
)

_POOLING = ("pooling_type", "llama_pooling_type", "LLAMA_POOLING_TYPE_")
_KV_TYPES = "f32 f16 bf16 q8_0 q5_0 q5_1 q4_0 q4_1 iq4_nl"


def _planned(table: Table) -> None:
    """What a plan says."""
    table.value("-m --model", "model.path", str)
    table.value("-a --alias", "model_alias", lambda word: set(word.split(",")))
    table.value("--host", "hostnames", lambda word: [word])
    table.value("--port", "port", int)
    table.value("-c --ctx-size", "n_ctx", int)
    table.value("-np --parallel", "n_parallel", int)
    table.switch("-kvu --kv-unified", "kv_unified")
    table.switch("-no-kvu --no-kv-unified", "kv_unified", False)
    table.choice("-ctk --cache-type-k", "cache_type_k", "ggml_type", "GGML_TYPE_", _KV_TYPES)
    table.choice("-ctv --cache-type-v", "cache_type_v", "ggml_type", "GGML_TYPE_", _KV_TYPES)
    table.value("-b --batch-size", "n_batch", int)
    table.value("-ub --ubatch-size", "n_ubatch", int)
    flash = ("flash_attn_type", "llama_flash_attn_type", "LLAMA_FLASH_ATTN_TYPE_", "auto on off")
    table.choice("-fa --flash-attn", *flash)
    table.value("-cram --cache-ram", "cache_ram_mib", int)
    table.value("-ctxcp --ctx-checkpoints --swa-checkpoints", "n_ctx_checkpoints", int)
    table.switch("--repack", "no_extra_bufts", False)
    table.switch("-nr --no-repack", "no_extra_bufts")
    table.value("-fit --fit", "fit_params", on_off)
    table.value("-ngl --gpu-layers --n-gpu-layers", "n_gpu_layers", int)
    table.value("-ts --tensor-split", "tensor_split", tensor_split)
    table.value("-t --threads", "cpuparams.n_threads", int)
    table.value("-tb --threads-batch", "cpuparams_batch.n_threads", int)
    table.value("-ncmoe --n-cpu-moe", "tensor_buft_overrides", experts_on_cpu)
    table.add("-dev --device", _no_device, _only_none)
    table.value("--threads-http", "n_threads_http", int)
    table.switch("--metrics", "endpoint_metrics")
    table.switch("--slots", "endpoint_slots")
    # The engine puts a file's name behind it as it is.
    table.value("--slot-save-path", "slot_save_path", lambda word: os.path.join(word, ""))
    table.switch("--no-cache-idle-slots", "cache_idle_slots", False)
    table.switch("--jinja", "use_jinja")
    table.switch("--no-webui --no-ui", "ui", False)
    for short, long, where in (("-Cr", "", "cpuparams"), ("-Crb", "-batch", "cpuparams_batch")):
        table.add(f"{short} --cpu-range{long}", _mask(where), cpu_range)
        table.value(f"--cpu-strict{long}", f"{where}.strict_cpu", on_off)
        table.value(f"--poll{long}", f"{where}.poll", int)


def _beside(table: Table) -> None:
    """What a plan says of a projector and of a draft model."""
    table.value("--mmproj", "mmproj.path", str)
    table.switch("--mmproj-offload", "mmproj_use_gpu")
    table.switch("--no-mmproj-offload", "mmproj_use_gpu", False)
    draft = "speculative.draft"
    table.value("-md", f"{draft}.mparams.path", str)
    table.value("-ngld", f"{draft}.n_gpu_layers", int)
    table.value("--spec-draft-n-max", f"{draft}.n_max", int)
    cache = ("ggml_type", "GGML_TYPE_", _KV_TYPES)
    table.choice("-ctkd", f"{draft}.cache_type_k", *cache)
    table.choice("-ctvd", f"{draft}.cache_type_v", *cache)
    table.add("--spec-type", _draft_type, _only_draft_simple)


def _only_draft_simple(word: str) -> str:
    if word != "draft-simple":
        raise ValueError("can only be draft-simple")
    return word


def _draft_type(xl: Any, params: Any, _: Any) -> None:
    kind = xl.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE
    put(params, "speculative.types", [kind])


def _mask(where: str) -> Apply:
    def apply(_: Any, params: Any, mask: list[bool]) -> None:
        put(params, f"{where}.cpumask", mask)
        put(params, f"{where}.mask_valid", True)

    return apply


def _only_none(word: str) -> str:
    if word != "none":
        raise ValueError("can only be none: devices are chosen by the visibility variables")
    return word


def _no_device(_: Any, params: Any, __: Any) -> None:
    params.n_gpu_layers, params.no_kv_offload, params.no_op_offload = 0, True, True
    params.mmproj_use_gpu = False


def _sampling(table: Table) -> None:
    """Defaults for requests that do not say."""
    table.sampler("--temp --temperature", "temp", float)
    table.sampler("--top-k", "top_k", int)
    table.sampler("--top-p", "top_p", float)
    table.sampler("--min-p", "min_p", float)
    table.sampler("--xtc-probability", "xtc_probability", float)
    table.sampler("--xtc-threshold", "xtc_threshold", float)
    table.sampler("--repeat-last-n", "penalty_last_n", int)
    table.sampler("--repeat-penalty", "penalty_repeat", float)
    table.sampler("--mirostat", "mirostat", int)
    table.sampler("--mirostat-lr", "mirostat_eta", float)
    table.sampler("--mirostat-ent", "mirostat_tau", float)
    table.sampler("--samplers", "samplers", str)
    for name, where, read in (
        ("-s --seed", "seed", lambda word: int(word) % 2**32),
        ("--typical --typical-p", "typ_p", float),
        ("--presence-penalty", "penalty_present", float),
        ("--frequency-penalty", "penalty_freq", float),
        ("--dry-multiplier", "dry_multiplier", float),
        ("--dry-base", "dry_base", float),
        ("--dry-allowed-length", "dry_allowed_length", int),
        ("--dry-penalty-last-n", "dry_penalty_last_n", int),
        ("--dynatemp-range", "dynatemp_range", float),
        ("--dynatemp-exp", "dynatemp_exponent", float),
        ("--adaptive-target", "adaptive_target", float),
        ("--adaptive-decay", "adaptive_decay", float),
        ("--reasoning-budget", "reasoning_budget_tokens", int),
        ("--reasoning-budget-message", "reasoning_budget_message", str),
    ):
        table.value(name, f"sampling.{where}", read)
    table.switch("--ignore-eos", "sampling.ignore_eos")
    table.value("-n --predict --n-predict", "n_predict", int)
    table.value("--keep", "n_keep", int)


def _model(table: Table) -> None:
    """How the model is loaded and read."""
    rope = ("rope_scaling_type", "llama_rope_scaling_type", "LLAMA_ROPE_SCALING_TYPE_")
    table.choice("--rope-scaling", *rope, "none linear yarn")
    table.value("--rope-scale", "rope_freq_scale", rope_scale)
    table.value("--rope-freq-base", "rope_freq_base", float)
    table.value("--rope-freq-scale", "rope_freq_scale", float)
    table.value("--yarn-orig-ctx", "yarn_orig_ctx", int)
    for name in ("ext-factor", "attn-factor", "beta-slow", "beta-fast"):
        table.value(f"--yarn-{name}", f"yarn_{name.replace('-', '_')}", float)
    table.choice(
        "--numa",
        "numa",
        "ggml_numa_strategy",
        "GGML_NUMA_STRATEGY_",
        "distribute isolate numactl",
    )
    table.switch("--no-op-offload", "no_op_offload")
    table.switch("--no-host", "no_host")
    table.switch("--check-tensors", "check_tensors")
    table.switch("--warmup", "warmup")
    table.switch("--no-warmup", "warmup", False)


def _vectors(table: Table) -> None:
    """What a worker makes of a text besides an answer."""
    table.switch("--embedding --embeddings", "embedding")
    table.choice("--pooling", *_POOLING, "none mean cls last rank")
    table.add("--rerank --reranking", _reranking)


def _reranking(xl: Any, params: Any, _: Any) -> None:
    params.embedding = True
    params.pooling_type = xl.llama_pooling_type.LLAMA_POOLING_TYPE_RANK


def _server(table: Table) -> None:
    """How requests are read and answered."""
    table.value("--chat-template", "chat_template", str)
    table.value("--chat-template-file", "chat_template", lambda word: Path(word).read_text())
    table.add("--chat-template-kwargs", _template_kwargs, json_object)
    form = ("reasoning_format", "common_reasoning_format", "COMMON_REASONING_FORMAT_")
    table.choice("--reasoning-format", *form, "none auto deepseek deepseek-legacy")
    table.switch("--prefill-assistant", "prefill_assistant")
    table.switch("--no-prefill-assistant", "prefill_assistant", False)
    table.value("-sps --slot-prompt-similarity", "slot_prompt_similarity", float)
    table.switch("--cache-prompt", "cache_prompt")
    table.switch("--no-cache-prompt", "cache_prompt", False)
    table.value("--cache-reuse", "n_cache_reuse", int)
    table.switch("--context-shift", "ctx_shift")
    table.switch("--no-context-shift", "ctx_shift", False)
    table.value("--sse-ping-interval", "sse_ping_interval", int)
    table.value("-lv --verbosity --log-verbosity", "verbosity", int)
    table.switch("-sp --special", "special")


def _template_kwargs(_: Any, params: Any, value: Any) -> None:
    known = dict(params.default_template_kwargs)
    known |= {key: json.dumps(each) for key, each in value.items()}
    params.default_template_kwargs = known


def _build() -> Mapping[str, Flag]:
    table = Table()
    for rows in (_planned, _beside, _sampling, _model, _vectors, _server):
        rows(table)
    return table.flags


FLAGS: Mapping[str, Flag] = _build()


def parse(argv: Sequence[str]) -> list[tuple[Flag, Any]]:
    """Flags and their values in order. Raises FlagError for anything that cannot be used."""
    found: list[tuple[Flag, Any]] = []
    words = iter(argv)
    for word in words:
        name = word.replace("_", "-") if word.startswith("--") else word
        flag = FLAGS.get(name)
        if flag is None:
            raise FlagError(
                f"The engine xllamacpp does not know {word!r}; the native engine may: install "
                "llama-server and set `engine.name` to it."
            )
        try:
            found.append((flag, None if flag.read is None else flag.read(next(words))))
        except StopIteration:
            raise FlagError(f"{word} needs a value.") from None
        except Exception as error:  # whatever a reader raises, it is the word's fault
            raise FlagError(f"The value of {word} cannot be used: {error}.") from None
    return found


def apply(xl: Any, params: Any, parsed: Sequence[tuple[Flag, Any]]) -> None:
    """Puts parsed flags into `params`, a CommonParams of the module `xl`. Raises FlagError."""
    for flag, value in parsed:
        try:
            flag.apply(xl, params, value)
        except Exception as error:  # the wheel's classes raise what they like
            raise FlagError(f"This xllamacpp cannot be told {flag.names[0]}: {error}.") from None

"""A WorkerPlan as flags of the llama-cpp-python runner, and what a user may add. Pure.

They are `llama_cpp.server`'s own, and three of the runner's for what it has no setting for:
`--flash_attention`, `--repack` and `--device none`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_swarm.domain.plan import CPU_DEVICE, WorkerPlan
from local_swarm.engines import extra_args
from local_swarm.errors import UsageError

# ggml_type, ggml/include/ggml.h
CACHE_TYPES = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "iq4_nl": 20,
    "bf16": 30,
}


def _object(word: str) -> None:
    if not isinstance(json.loads(word), dict):
        raise ValueError("is not a JSON object")


OPEN: Mapping[str, Callable[[str], Any]] = {
    "--chat_format": str,
    "--chat_template_kwargs": _object,
    "--last_n_tokens_size": int,
    "--numa": int,
    "--rope_scaling_type": int,
    "--rope_freq_base": float,
    "--rope_freq_scale": float,
    "--yarn_ext_factor": float,
    "--yarn_attn_factor": float,
    "--yarn_beta_fast": float,
    "--yarn_beta_slow": float,
    "--yarn_orig_ctx": int,
}
"""What a user may say, and how its value is checked."""


def plan_flags(worker: WorkerPlan, *, host: str, port: int) -> tuple[str, ...]:
    """All the flags of one worker, which has one slot."""
    on_cpu = worker.devices == (CPU_DEVICE,)
    said: dict[str, object] = {
        "model": worker.model_path,
        "model_alias": worker.model_id,
        "n_ctx": worker.ctx,
        "n_batch": worker.batch,
        "n_ubatch": worker.ubatch,
        "n_threads": worker.threads,
        "n_threads_batch": worker.threads,
        "n_gpu_layers": worker.gpu_layers,
        "type_k": CACHE_TYPES[worker.cache_type_k],
        "type_v": CACHE_TYPES[worker.cache_type_v],
        "flash_attention": worker.flash_attention,
        "repack": _yes(worker.repack),
        "logits_all": "false",
        "use_mmap": "true",
        "use_mlock": "false",
        "offload_kqv": _yes(not on_cpu),
        "interrupt_requests": "false",
        "host": host,
        "port": port,
    }
    flags = [word for name, value in said.items() for word in (f"--{name}", str(value))]
    if on_cpu:
        flags += ["--device", "none"]
    if worker.tensor_split:
        flags += ["--tensor_split", *map(repr, worker.tensor_split)]
    return tuple(flags)


def _yes(value: bool) -> str:
    return "true" if value else "false"


def extra_flags(words: Sequence[str]) -> tuple[str, ...]:
    """Pairs of an open flag and its value, as they are.

    Raises UsageError naming the first word that is not the user's to say.
    """
    extra_args.check(words)
    for flag, value in zip(words[::2], (*words[1::2], None), strict=False):
        read = OPEN.get(flag)
        if read is None:
            raise UsageError(
                f"The engine llama-cpp-python cannot be given {flag!r} here.",
                hint=f"It takes {', '.join(OPEN)}; for others use another engine.",
            )
        if value is None:
            raise UsageError(f"{flag} needs a value.")
        _check(flag, value, read)
    return tuple(words)


def _check(flag: str, value: str, read: Callable[[str], Any]) -> None:
    try:
        read(value)
    except ValueError as error:
        raise UsageError(f"The value of {flag} cannot be used: {error}.") from None

"""A WorkerPlan as llama-server's flags. Pure.

Everything that decides memory or placement is said explicitly and `--fit` is off, so that the plan
is what runs. What the user adds comes last and may not say it again (`extra_args.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local_swarm.domain.model import Purpose
from local_swarm.domain.plan import CPU_DEVICE, DRAFT_TOKENS, WorkerPlan

# Every stream holds an HTTP thread; the rest is for health, slots and metrics.
SPARE_HTTP_THREADS = 2
# The least at which the engine prints what it allocates; from 5 on it prints prompts.
VERBOSITY = "4"
# A slot's prompt is saved to the cache in RAM, and a better one brought back, only where it is less
# similar than this to the next one; conversations that share long instructions always are. At 1
# none is similar enough, and those that vote in turn in one slot lose nothing.
NEVER_SIMILAR = "1"
VECTORS: Mapping[Purpose, tuple[str, ...]] = {
    "chat": (), "embedding": ("--embeddings",), "rerank": ("--reranking",),
}  # fmt: skip
# More than any model has.
ALL_LAYERS = "999"
# The least at which it also prints its dry run.
DRY_VERBOSITY = "5"


def plan_flags(worker: WorkerPlan, *, host: str, port: int) -> tuple[str, ...]:
    """All the flags of one worker; `-c` is the total over its slots."""
    return (
        *_model_flags(worker),
        *_memory_flags(worker),
        *_placement_flags(worker),
        *_mmproj_flags(worker),
        *_draft_flags(worker),
        *VECTORS[worker.purpose],
        *_server_flags(worker, host, port),
    )


def dry_flags(argv: Sequence[str]) -> tuple[str, ...] | None:
    """The same start with the engine's own dry run before it; None where the words are others'."""
    changed = {"--fit": "on", "-lv": DRY_VERBOSITY}
    if not all(flag in argv[:-1] for flag in changed):
        return None
    pairs = zip(("", *argv), argv, strict=False)
    return (*(changed.get(before, word) for before, word in pairs), "--no-warmup")


def _model_flags(worker: WorkerPlan) -> tuple[str, ...]:
    return ("-m", worker.model_path, "--alias", worker.model_id)


def _memory_flags(worker: WorkerPlan) -> tuple[str, ...]:
    return (
        "-c",
        str(worker.cells),
        "-np",
        str(worker.slots),
        "-kvu" if worker.kv_unified else "--no-kv-unified",
        "-ctk",
        worker.cache_type_k,
        "-ctv",
        worker.cache_type_v,
        "-b",
        str(worker.batch),
        "-ub",
        str(worker.ubatch),
        "-fa",
        worker.flash_attention,
        "--cache-ram",
        str(worker.cache_ram_mib),
        "--ctx-checkpoints",
        str(worker.ctx_checkpoints),
        "--repack" if worker.repack else "--no-repack",
        "--fit",
        "off",
    )


def _placement_flags(worker: WorkerPlan) -> tuple[str, ...]:
    flags = ["-ngl", str(worker.gpu_layers), "-t", str(worker.threads), "-tb", str(worker.threads)]
    if worker.devices == (CPU_DEVICE,):
        flags += ["--device", "none"]
    if worker.tensor_split:
        flags += ["-ts", ",".join(map(_share, worker.tensor_split))]
    if worker.cpu_moe_layers:
        flags += ["--n-cpu-moe", str(worker.cpu_moe_layers)]
    return tuple(flags)


def _share(share: float) -> str:
    """All its digits, without a point where it is whole."""
    return str(int(share)) if float(share).is_integer() else repr(share)


def _mmproj_flags(worker: WorkerPlan) -> tuple[str, ...]:
    """The projector goes to the worker's first GPU, if it has one."""
    if not worker.mmproj:
        return ()
    on_gpu = worker.devices != (CPU_DEVICE,)
    return ("--mmproj", worker.mmproj, "--mmproj-offload" if on_gpu else "--no-mmproj-offload")


def _draft_flags(worker: WorkerPlan) -> tuple[str, ...]:
    """A draft runs where the model does, with the same cache types; the type of drafting has no
    default: without it the engine loads the draft and never asks it."""
    if not worker.draft:
        return ()
    return (
        "-md",
        worker.draft,
        "--spec-type",
        "draft-simple",
        "--spec-draft-n-max",
        str(DRAFT_TOKENS),
        "-ngld",
        "0" if worker.devices == (CPU_DEVICE,) else ALL_LAYERS,
        "-ctkd",
        worker.cache_type_k,
        "-ctvd",
        worker.cache_type_v,
    )


def _server_flags(worker: WorkerPlan, host: str, port: int) -> tuple[str, ...]:
    return (
        "--host",
        host,
        "--port",
        str(port),
        "--threads-http",
        str(worker.slots + SPARE_HTTP_THREADS),
        "--metrics",
        "--slots",
        "--no-cache-idle-slots",
        "-sps",
        NEVER_SIMILAR,
        "--jinja",
        "--no-webui",
        "-lv",
        VERBOSITY,
    )

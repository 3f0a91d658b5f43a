"""What a user may add to an engine's flags (the words after `--`, and `engine.args`). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from local_swarm.errors import UsageError

_PLAN = "the plan decides it"
_SAFETY = "it would change what the worker lets others do"
_UNCOUNTED = "the plan does not count its memory yet"
_DRAFTING = "the plan counts the memory of drafting"
_READING = "the plan counts the memory of reading images and sound"
_NO_SERVER = "it makes the engine print something and end"

# Why a flag is not the user's, what to do instead, and its spellings.
OWNED: tuple[tuple[str, str, str], ...] = (
    ("the gateway finds the worker by it", "Set `server.host`.", "--host"),
    ("the supervisor chooses it", "Set `server.port`.", "--port --reuse-port"),
    (
        "workers get their key through the environment",
        "Set `engine.api_key`.",
        "--api-key --api-key-file",
    ),
    (
        _PLAN,
        "Choose the model with `--model`.",
        "-m --model -mu --model-url -dr --docker-repo -hf -hfr -hff -hft -hfv -hffv --hf-repo "
        "--hf-file --hf-repo-v --hf-file-v --hf-token -hfd -hfrd --hf-repo-draft --spec-draft-hf "
        "-a --alias",
    ),
    (_PLAN, "Use `lswarm up --slots`.", "-np --parallel"),
    (_PLAN, "Use `lswarm up --ctx` (tokens per slot).", "-c --ctx-size --kv-unified-per-slot"),
    (
        _PLAN,
        "See `lswarm plan`, and the settings in [swarm] and [engine].",
        "-ngl --gpu-layers --n-gpu-layers -ts --tensor-split -dev --device --rpc -ctk "
        "--cache-type-k -ctv --cache-type-v -b --batch-size -ub --ubatch-size -fa --flash-attn "
        "-cram --cache-ram -ctxcp --ctx-checkpoints --swa-checkpoints -ncmoe --n-cpu-moe -cmoe "
        "--cpu-moe -ncffn --n-cpu-ffn -ot --override-tensor --repack -nr --no-repack -t --threads "
        "-tb --threads-batch -C --cpu-mask -Cb --cpu-mask-batch -fit --fit -fitp --fit-print "
        "-fitt --fit-target -fitc --fit-ctx -kvu --kv-unified -no-kvu --no-kv-unified -kvo "
        "--kv-offload -nkvo --no-kv-offload --threads-http --cache-idle-slots "
        "--no-cache-idle-slots",
    ),
    (
        "the plan counts memory and places the model as the engine does without it",
        "Leave it out; `lswarm plan` shows what is used where.",
        "-lm --load-mode --mmap --no-mmap --mlock -lzm --lazy-mode -sm --split-mode -mg --main-gpu "
        "--swa-full --moe-cache-mib",
    ),
    (
        _DRAFTING,
        "Set `models.draft`.",
        "-md -td -tbd -Cd -Crd -Cbd -otd -cmoed -ncmoed -devd -ngld -ctkd -ctvd --mtp --draft",
    ),
    (
        _READING,
        "Set `models.mmproj`.",
        "-mm -mmdev --image-min-tokens --image-max-tokens --mtmd-batch-max-tokens",
    ),
    (
        "the gateway needs it as it is",
        "Leave it out.",
        "--metrics --slots --no-slots --jinja --no-jinja --api-prefix --path -cb --cont-batching "
        "-nocb --no-cont-batching -sps --slot-prompt-similarity",
    ),
    ("the gateway ends slow requests", "Set `swarm.timeout_s`.", "-to --timeout"),
    (
        "logs show no prompts, and the supervisor keeps and rotates them",
        "Set `logs.dir`.",
        "--log-file",
    ),
    (
        "the plan is checked against what it prints, and at a higher level it prints prompts",
        "Leave it out.",
        "-lv --verbosity --log-verbosity -v --verbose --log-verbose",
    ),
    (
        "the plan is checked against what it prints as plain lines",
        "Set `logs.level` and `logs.dir`.",
        "--log-disable --log-jsonl --no-log-jsonl --log-colors",
    ),
    (
        _SAFETY,
        "Leave it out.",
        "--props --tools --tools-runtime --slot-save-path --media-path -ag --agent --server-base "
        "--lora-init-without-apply --ui --no-ui --webui --no-webui",
    ),
    (
        _NO_SERVER,
        "Run the engine's own program for that.",
        "-h --help --usage --version --list-devices -cl --cache-list --completion-bash --license",
    ),
)
# The same for whole families; the first that matches from the start of the flag speaks.
OWNED_FAMILIES: tuple[tuple[str, str, str], ...] = (
    (
        "it may fetch a model, and the plan decides which one runs",
        "Choose the model with `--model`.",
        r"--(models-|hf-|mmproj-url|(fim|gpt-oss|vision|embd)-.*-(default|spec)$)|-mmu$",
    ),
    (_SAFETY, "Leave it out.", r"--(ssl-|mcp-|(no-)?(cors|ui|webui)-)"),
    (
        _DRAFTING,
        "Set `models.draft`.",
        r"--((no-)?spec-|draft-|.*-draft$)",
    ),
    (_UNCOUNTED, "An adapter comes with a later version.", r"--(lora|control-vector)"),
    (_READING, "Set `models.mmproj`.", r"--(no-)?mmproj"),
    ("it makes the engine run other programs", "Leave it out.", r"--video-"),
    ("it would write prompts to disk", "Leave it out.", r"--log-prompts-"),
    (
        "it unloads the model, and the next request waits until it is back",
        "Stop the swarm instead.",
        r"--sleep-",
    ),
)
_FAMILIES = tuple((why, hint, re.compile(pattern)) for why, hint, pattern in OWNED_FAMILIES)
# They make workers answer with vectors too, which takes memory that the plan must count.
RANKS = frozenset({"--rerank", "--reranking"})
VECTORS = RANKS | frozenset({"--embedding", "--embeddings", "--pooling"})
OWNERS = {flag: (why, hint) for why, hint, flags in OWNED for flag in flags.split()}


def canonical(word: str) -> str:
    """The flag a word means: llama.cpp reads `--ctx_size` as `--ctx-size`."""
    name = word.split("=", 1)[0]
    return name.replace("_", "-") if name.startswith("--") else name


def flags_in(words: Sequence[str]) -> Iterator[str]:
    """The words that are flags; a negative number is a value."""
    for word in words:
        if re.match(r"-{1,2}[A-Za-z]", word):
            yield canonical(word)


def asks_for_vectors(words: Sequence[str]) -> bool:
    """Whether a worker with these arguments makes embeddings or ranks."""
    return any(flag in VECTORS for flag in flags_in(words))


def asks_for_ranks(words: Sequence[str]) -> bool:
    """Whether it ranks. Only a model made for it can: of any other the engine reads its ranks, and
    embeddings too, out of memory that holds something else."""
    pairs = zip(words, (*words[1:], ""), strict=False)
    return any(
        canonical(word) in RANKS or (canonical(word) == "--pooling" and follows == "rank")
        for word, follows in pairs
    )


def check(words: Sequence[str]) -> tuple[str, ...]:
    """The words as they are. Raises UsageError naming the first flag that is not the user's."""
    for flag in flags_in(words):
        owner = OWNERS.get(flag) or _family(flag)
        if owner:
            why, hint = owner
            raise UsageError(f"The engine argument {flag} cannot be set here: {why}.", hint=hint)
    return tuple(words)


def _family(flag: str) -> tuple[str, str] | None:
    return next(((why, hint) for why, hint, family in _FAMILIES if family.match(flag)), None)

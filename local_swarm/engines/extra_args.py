"""What a user may add to an engine's flags (the words after `--`, and `engine.args`). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from local_swarm.errors import UsageError

_PLAN = "the plan decides it"
_SAFETY = "it would change what the worker lets others do"
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
        "-tb --threads-batch -C --cpu-mask -Cr --cpu-range -Cb --cpu-mask-batch -Crb "
        "--cpu-range-batch -fit --fit -fitp --fit-print -fitt --fit-target -fitc --fit-ctx -kvu "
        "--kv-unified -no-kvu --no-kv-unified -kvo --kv-offload -nkvo --no-kv-offload "
        "--threads-http --cache-idle-slots --no-cache-idle-slots",
    ),
    (
        "the gateway needs it as it is",
        "Leave it out.",
        "--metrics --slots --no-slots --jinja --no-jinja --api-prefix --path",
    ),
    (
        "the plan is checked against what it prints, and at a higher level it prints prompts",
        "Leave it out.",
        "-lv --verbosity --log-verbosity -v --verbose --log-verbose",
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
# Whole families: routers, presets that download a model, certificates, web UI, MCP, CORS.
OWNED_FAMILIES = re.compile(
    r"--(models-|ssl-|mcp-|cors-|no-cors-|ui-|webui-|no-ui-|no-webui-|hf-|mmproj-url|"
    r"(fim|gpt-oss|vision|embd)-.*-(default|spec)$)|-mmu$"
)
_OWNERS = {flag: (why, hint) for why, hint, flags in OWNED for flag in flags.split()}


def canonical(word: str) -> str:
    """The flag a word means: llama.cpp reads `--ctx_size` as `--ctx-size`."""
    name = word.split("=", 1)[0]
    return name.replace("_", "-") if name.startswith("--") else name


def flags_in(words: Sequence[str]) -> Iterator[str]:
    """The words that are flags; a negative number is a value."""
    for word in words:
        if re.match(r"-{1,2}[A-Za-z]", word):
            yield canonical(word)


def check(words: Sequence[str]) -> tuple[str, ...]:
    """The words as they are. Raises UsageError naming the first flag that is not the user's."""
    for flag in flags_in(words):
        why, hint = _OWNERS.get(flag, ("", ""))
        if not why and OWNED_FAMILIES.match(flag):
            why, hint = _SAFETY, "Leave it out."
        if why:
            raise UsageError(f"The engine argument {flag} cannot be set here: {why}.", hint=hint)
    return tuple(words)

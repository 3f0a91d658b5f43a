"""llama-server's flags, as the suite gives them, said to what stands in for it. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SLOTS, DEFAULT_CTX = 4, 4096
LEAST_CTX = 256  # of a slot of a swarm
MODEL_FLAGS = ("--hf-repo", "--hf-file", "--model")
# What only llama-server can be told: the swarm decides it (batch, cache) or always has it (slots).
PLANNED_SWITCHES = frozenset({
    "--metrics", "--slots", "--no-slots", "--jinja", "--no-jinja", "--cont-batching",
    "--kv-unified", "--no-cache-idle-slots", "--no-ui",
})  # fmt: skip
PLANNED_VALUES = frozenset({
    "--batch-size", "--ubatch-size", "--threads", "--n-gpu-layers", "--cache-ram", "-fa", "-ctk",
    "-ctv",
})  # fmt: skip
NO_VALUE = PLANNED_SWITCHES | {
    "--embedding", "--reranking", "--swa-full", "--verbose", "--context-shift",
    "--no-models-autoload", "--no-mmproj", "--ui-mcp-proxy", "--backend_sampling", "--offline",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """What is run, and what its environment has besides."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Models:
    """The files that stand for the suite's, by a word of their repository's name."""

    plain: Path
    infill: Path
    projector: Path

    def of(self, repo: str) -> Path:
        return self.infill if "infill" in repo else self.plain

    def projector_of(self, repo: str) -> Path | None:
        return self.projector if "gemma3" in repo else None


Flags = list[tuple[str, str | None]]


def read(words: Sequence[str]) -> Flags:
    """Flags with their values, None for a switch."""
    found: Flags = []
    rest = iter(words)
    for word in rest:
        found.append((word, None if word in NO_VALUE else next(rest)))
    return found


def words_of(flags: Flags) -> list[str]:
    return [word for flag in flags for word in flag if word is not None]


def native(flags: Flags, server: str, models: Models) -> Start:
    """The real server, with a local model where the suite names one to download.

    Weights are not repacked, as in a swarm's worker: a build for this very CPU may crash in it.
    """
    kept = [flag for flag in flags if flag[0] not in ("--hf-repo", "--hf-file")]
    repo = dict(flags).get("--hf-repo")
    if repo:
        kept.append(("--model", str(models.of(repo))))
        projector = models.projector_of(repo)
        if projector and ("--no-mmproj", None) not in flags:
            kept.append(("--mmproj", str(projector)))
    return Start((server, *words_of(kept), "--no-repack"), {})


def on_port(start: Start, port: int) -> Start:
    """The same on another port."""
    where = start.argv.index("--port") + 1
    return Start((*start.argv[:where], str(port), *start.argv[where + 1 :]), start.env)


def swarm(flags: Flags, lswarm: Sequence[str], server: str, models: Models) -> Start:
    """`lswarm up` with one worker of the same server and no vote. What it has no flag for goes to
    the engine, so that it is the swarm itself that refuses it."""
    given = dict(flags)
    repo = given.get("--hf-repo") or ""
    slots = int(given.get("--parallel") or DEFAULT_SLOTS)
    ctx = max(LEAST_CTX, int(given.get("--ctx-size") or DEFAULT_CTX) // slots)
    model = given.get("--model") or str(models.of(repo))
    argv = [*lswarm, "up", "--no-federation", "--strategy", "off", "--engine", "llama-server"]
    argv += ["--model", model, "--workers", "1", "--slots", str(slots), "--ctx", str(ctx)]
    argv += ["--host", given["--host"] or "", "--port", given["--port"] or ""]
    env = {"LSWARM_ENGINE__PATH": server, "LSWARM_LOGS__PROMPTS": "true"}
    if key := given.get("--api-key"):
        env["LSWARM_SERVER__API_KEYS"] = json.dumps([key])
    projector = models.projector_of(repo)
    if projector and "--no-mmproj" not in given:
        env["LSWARM_MODELS__MMPROJ"] = str(projector)
    ours = {"--host", "--port", "--api-key", "--parallel", "--ctx-size", "--alias", "--offline"}
    ours |= {*MODEL_FLAGS, "--tags", "--no-mmproj"}
    engine = [f for f in flags if f[0] not in ours | PLANNED_SWITCHES | PLANNED_VALUES]
    return Start((*argv, "--", *words_of(engine)), env)

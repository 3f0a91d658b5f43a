"""What a worker tells about itself, as it may be shown: no paths, keys or prompts."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

REDACTED = "[redacted]"
PROMPT_KEYS = frozenset({
    "prompt", "generated", "generated_text", "content", "text", "generation_prompt", "grammar",
    "grammar_triggers", "json_schema", "preserved_tokens", "stop", "stopping_word", "logit_bias",
})  # fmt: skip
"""Fields of a slot that hold what a client or the model wrote."""


def props(told: dict[str, Any]) -> dict[str, Any]:
    """A worker's properties without keys, and of every path only the last part."""
    return {k: _without_path(k, v) for k, v in told.items() if "api_key" not in k}


def _without_path(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_path(k, v) for k, v in value.items() if "api_key" not in k}
    if isinstance(value, str) and (key.endswith("path") or key in ("model", "mmproj", "lora")):
        return PurePosixPath(PureWindowsPath(value).as_posix()).name
    return value


def slot(told: dict[str, Any], worker: str, *, prompts: bool) -> dict[str, Any]:
    """One slot, labelled with its worker; what was written in it only with `prompts`."""
    return {"worker": worker, **(told if prompts else _without_prompts(told))}


def _without_prompts(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_prompts(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {k: _hidden(v) if k in PROMPT_KEYS else _without_prompts(v) for k, v in value.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if value else value
    return type(value)() if isinstance(value, (list, dict)) else None

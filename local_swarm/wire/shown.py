"""What a worker tells about itself, as it may be shown: no paths, keys or prompts."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

REDACTED = "[redacted]"
PROMPT_KEYS = frozenset({
    "prompt", "generated", "generated_text", "content", "text", "generation_prompt", "grammar",
    "grammar_triggers", "json_schema", "preserved_tokens", "stop", "stopping_word", "logit_bias",
})  # fmt: skip
"""Fields of a slot that hold what a client or the model wrote."""
NAMES = frozenset({"chat_format", "reasoning_format", "samplers", "speculative.types"})
"""Fields of a slot whose texts are the engine's own words; of any other field no text is shown."""
PATH_KEYS = ("model", "mmproj", "lora")
_PATH = re.compile(r"(~|[A-Za-z]:|file:)?([\\/][^\\/\n]*){2,}")


def props(told: dict[str, Any]) -> dict[str, Any]:
    """A worker's properties without keys, and of every path only the last part."""
    return {k: _without_path(k, v) for k, v in told.items() if "api_key" not in k}


def _without_path(key: str, value: Any) -> Any:
    """`value`, which stands in the field `key`."""
    if isinstance(value, dict):
        return props(value)
    if isinstance(value, list):
        return [_without_path(key, part) for part in value]
    if isinstance(value, str) and _is_path(key, value):
        return PurePosixPath(PureWindowsPath(value).as_posix()).name
    return value


def _is_path(key: str, text: str) -> bool:
    return key.endswith("path") or key in PATH_KEYS or _PATH.fullmatch(text) is not None


def slot(told: dict[str, Any], worker: str, *, prompts: bool) -> dict[str, Any]:
    """One slot, labelled with its worker; what was written in it only with `prompts`."""
    return {"worker": worker, **(told if prompts else _without_prompts(told))}


def _without_prompts(value: Any) -> Any:
    if isinstance(value, str):
        return _hidden(value)
    if isinstance(value, list):
        return [_without_prompts(part) for part in value]
    if isinstance(value, dict):
        return {k: _of_slot(k, v) for k, v in value.items()}
    return value


def _of_slot(key: str, value: Any) -> Any:
    if key in PROMPT_KEYS:
        return _hidden(value)
    return value if key in NAMES else _without_prompts(value)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return REDACTED if value else value
    return type(value)() if isinstance(value, (list, dict)) else None

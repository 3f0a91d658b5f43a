"""Takes out of text what is nobody else's business: keys, prompts, the user's name and home. Pure.

What is known is replaced wherever it lies; what only looks like a key or a prompt is taken out too.
A bug report that lacks a harmless line is better than one with a prompt in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_swarm.telemetry.redact import HIDDEN, PROMPT_KEYS, Redaction

SECRET_NAME = re.compile(r"(?i)key|token|secret|passw|credential|auth|cookie")
LEFT_OUT = "[left out: it may hold a prompt]"

_SHAPES = (
    re.compile(r"\b(?:hf|ghp|gho|xox[bp])_?[A-Za-z0-9-]{16,}"),
    re.compile(r"\b(?:sk|pk|lsk)-[\w-]{12,}"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"),
    re.compile(r"(?<=://)[^/\s:@\"']+:[^/\s@\"']+(?=@)"),
)
_SECRET = r"(?:api[-_]?keys?|token|secret|password|passwd)"
_ASSIGNED = re.compile(
    rf"(?i)((?:\b[\w.-]*{_SECRET}\b[\"']?\s*[=:]\s*|--?[\w-]*{_SECRET}\s+)[\"'\[]*)"
    r"(?!\*|\[hidden)[^\s\"',;}\]\[]+"
)
_PROMPT_KEYS = "|".join(sorted(PROMPT_KEYS))
_TELLING = re.compile(
    rf"(?i)\b(?:{_PROMPT_KEYS})\b[\"']?\s*[=:]\s*(?!-?[\d.]+\b|\[hidden\]|[\"']?\[hidden\])\S"
    r"|\b(?:exception|grammar|parsed?|parsing|generated|example_format)\b|\b(?:request|response):"
)
# Where a record begins: a line of llama.cpp, of ours, or one of JSON. What follows without is part
# of the same record.
_RECORD = re.compile(
    r"(?:[\w.-]+ \| )?(?:\d+\.\d\d\.\d{3}\.\d{3} (?P<level>[A-Z]) |\[supervisor\] |\d{4}-\d\d-\d\dT"
    r"|\{\"|READY )"
)


@dataclass(frozen=True, slots=True)
class Scrubber:
    """Knows the secrets; `names` are texts and what is written for them, as the home directory and
    `~`. A name of word characters is replaced only as a whole word."""

    secrets: Sequence[str] = ()
    names: Sequence[tuple[str, str]] = ()
    _redaction: Redaction = field(default_factory=Redaction)

    def __post_init__(self) -> None:
        self._redaction.hide(*(spelt for secret in self.secrets for spelt in _spellings(secret)))

    def text(self, text: str) -> str:
        """Without secrets and names. Prompts are for `lines`."""
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        text = _ASSIGNED.sub(rf"\1{HIDDEN}", self._redaction.text(text))
        for name, instead in self.names:
            for spelt in _spellings(name):
                text = _whole(spelt).sub(instead, text)
        return text

    def document(self, value: Any) -> str:
        """As JSON; what lies under a telling key is hidden whatever it is."""
        shown = self._redaction(None, "", {"document": _without_secret_arguments(value)})
        return json.dumps(self._value(shown["document"]), indent=2, ensure_ascii=False) + "\n"

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(str(key)): self._value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def lines(self, lines: Iterable[str]) -> str:
        """Log lines; for each that may hold a prompt, and what belongs to it, one that says so."""
        return "".join(f"{self.text(line)}\n" for line in without_prompts(lines))


def without_prompts(lines: Iterable[str]) -> list[str]:
    """The lines, with LEFT_OUT for each run of those that may hold a prompt: of debug level (the
    engine prints prompts there), with a telling field, and what follows until the next record."""
    shown: list[str] = []
    is_out = False
    for line in lines:
        record = _RECORD.match(line)
        if record or not is_out:
            is_debug = bool(record and record["level"] == "D")
            is_out = is_debug or bool(_TELLING.search(line))
        if not is_out:
            shown.append(line)
        elif not shown or shown[-1] != LEFT_OUT:
            shown.append(LEFT_OUT)
    return shown


def _without_secret_arguments(value: Any) -> Any:
    """Of a command line, what follows a flag that is called like a secret."""
    if isinstance(value, dict):
        return {key: _without_secret_arguments(item) for key, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    before = ("", *value)
    return [
        HIDDEN if _is_secret_flag(flag) else _without_secret_arguments(item)
        for flag, item in zip(before, value, strict=False)
    ]


def _is_secret_flag(word: object) -> bool:
    is_flag = isinstance(word, str) and word.startswith("-") and "=" not in word
    return is_flag and bool(re.search(r"(?i)key|token|secret|passw", str(word)))


def _spellings(text: str) -> set[str]:
    """As it is, and as it is written in JSON and by `repr`."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1],
            repr(text)[1:-1]}  # fmt: skip


def _whole(name: str) -> re.Pattern[str]:
    """Not as a part of a longer word, nor `/home/ann` in `/home/anna`."""
    before = r"(?<!\w)" if name[:1].isalnum() else ""
    return re.compile(rf"{before}{re.escape(name)}(?!\w)")

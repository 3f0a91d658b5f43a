"""Keeps secrets, and prompts unless they are asked for, out of what is logged. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"
SECRET_KEYS = frozenset(
    {"api_key", "api_keys", "x_api_key", "authorization", "proxy_authorization", "cookie"}
    | {"password", "secret", "token"}
)
PROMPT_KEYS = frozenset(
    {"prompt", "prompts", "messages", "content", "reasoning", "completion", "answer", "answers"}
    | {"text", "input", "body"}
)
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
_SHORTEST = 4  # a shorter secret would blank ordinary words
_DEEPEST = 8


class Redaction:
    """A structlog processor: known secrets and telling keys are replaced, wherever they lie.

    Anything that is no plain value is written as its `repr` first, so that nothing slips by.
    """

    def __init__(self) -> None:
        self.prompts = False
        self._secrets: tuple[str, ...] = ()

    def hide(self, *secrets: str) -> None:
        """From now on these never appear. Those under four characters are too short to look for."""
        known = {*self._secrets, *(secret for secret in secrets if len(secret) >= _SHORTEST)}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def __call__(
        self, logger: Any, method: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {key: self._field(key, value, 0) for key, value in event_dict.items()}

    def _field(self, key: object, value: object, depth: int) -> object:
        name = str(key).lower().replace("-", "_")
        if name in SECRET_KEYS or (name in PROMPT_KEYS and not self.prompts):
            return HIDDEN
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth < _DEEPEST and isinstance(value, Mapping):
            items = value.items()
            return {self.text(str(key)): self._field(key, item, depth + 1) for key, item in items}
        if depth < _DEEPEST and isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(item, depth + 1) for item in value]
        return self.text(repr(value))

    def text(self, text: str) -> str:
        """Without known secrets and credentials."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _CREDENTIALS.sub(rf"\1 {HIDDEN}", text)

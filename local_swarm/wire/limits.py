"""How much a request may ask of a worker: tokens to write, and grammars and schemas to compile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from local_swarm.errors import InvalidRequest

TOKENS = ("n_predict", "max_tokens", "max_completion_tokens", "max_output_tokens")
COMPILED = (
    "grammar", "json_schema", "response_format", "text", "output_config", "output_format", "tools",
    "functions",
)  # fmt: skip
NO_LIMIT = (-1, -2)  # llama-server's: to the end of the context


@dataclass(frozen=True, slots=True)
class Limits:
    """`tokens` per answer; `schema_bytes` for each field that a worker compiles to a grammar."""

    tokens: int = 2**20
    schema_bytes: int = 2**20

    def check(self, body: object, size_bytes: int) -> None:
        """`size_bytes` is the whole body's. What is no object is not ours to judge.

        Raises InvalidRequest naming the field.
        """
        if not isinstance(body, dict):
            return
        for key in TOKENS:
            if key in body:
                self._check_tokens(key, body[key])
        if size_bytes > self.schema_bytes:
            self._check_sizes(body)

    def _check_tokens(self, key: str, value: object) -> None:
        if value is None or value in NO_LIMIT:
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidRequest(f"{key} must be a whole number.", param=key)
        if not 0 <= value <= self.tokens:
            raise InvalidRequest(f"{key} must be from 0 to {self.tokens}.", param=key)

    def _check_sizes(self, body: Mapping[str, Any]) -> None:
        for key in COMPILED:
            if key in body and len(msgspec.json.encode(body[key])) > self.schema_bytes:
                raise InvalidRequest(
                    f"{key} is larger than {self.schema_bytes} bytes.",
                    hint="server.max_schema_bytes is the limit.",
                    param=key,
                )

"""A value and the version of its form as the bytes of a file: JSON, one object. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
Migrate = Callable[[int, bytes], T]


class Damaged(Exception):
    """No program of ours has written this, or one so old that nobody reads it any more."""


class Newer(Exception):
    """A later version of the program has written this, and it may be right."""


class _Head(msgspec.Struct):
    version: int


def encode(value: Any, version: int) -> bytes:
    """`value` is a dataclass or a msgspec.Struct without a field `version`. What UTF-8 cannot hold
    (half a character in a file's name) becomes a question mark."""
    fields = {"version": version, **msgspec.to_builtins(value)}
    return json.dumps(fields, indent=1, ensure_ascii=False).encode(errors="replace")


def decode(content: bytes, kind: type[T], version: int, migrate: Migrate[T] | None = None) -> T:
    """What `encode` was given. `migrate(older version, content)` reads what an earlier one wrote,
    and raises ValueError or msgspec.DecodeError where it cannot. Raises Damaged, Newer.
    """
    try:
        found = msgspec.json.decode(content, type=_Head).version
        if found > version:
            raise Newer(f"version {found} of it is known to a later program only")
        if found == version:
            return msgspec.json.decode(content, type=kind)
        if migrate is None:
            raise Damaged(f"version {found} of it is read no more")
        return migrate(found, content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Damaged(str(error)) from None

"""What is known of one request: written by whoever learns it, told once when it is over.

The access log, the metrics, the events and the spans all tell the same record. It holds no text
of prompts or answers, and no query string.
"""

from __future__ import annotations

import re
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ID_HEADER = "X-Request-Id"
OTHER = "other"
LEFT = 499  # the client left before the answer: as nginx counts it
LONGEST_TEXT = 200
_ID = re.compile(r"[A-Za-z0-9._:@+=/-]{1,128}")


@dataclass(slots=True)
class Record:
    """`route` is one of a bounded set, `path` the client's own. `facts` is what `note` was told."""

    id: str
    method: str
    route: str
    path: str
    started: float = field(default_factory=time.monotonic)
    first_byte_s: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def began(self) -> None:
        """The first byte of the answer goes out; later calls change nothing."""
        if self.first_byte_s is None:
            self.first_byte_s = self.elapsed_s


RECORD = web.RequestKey("record", Record)
_current: ContextVar[Record | None] = ContextVar("record", default=None)


def record_of(request: web.Request) -> Record:
    """A new record, which `note` writes to from now on in this task and those it starts."""
    resource = request.match_info.route.resource
    record = Record(
        id=request_id(request.headers.getall(ID_HEADER, ())),
        method=_shown(request.method),
        route=OTHER if resource is None else resource.canonical,
        path=_shown(request.path),
    )
    request[RECORD] = record
    _current.set(record)
    return record


def note(
    *,
    model: str | None = None,
    strategy: str | None = None,
    voters: int | None = None,
    answered: int | None = None,
    abstained: int | None = None,
    agreement: float | None = None,
) -> None:
    """Adds to the record of the request that the caller works for; nothing where there is none."""
    record = _current.get()
    if record is None:
        return
    told = {
        "model": None if model is None else _shown(model),
        "strategy": None if strategy is None else _shown(strategy),
        "voters": voters,
        "answered": answered,
        "abstained": abstained,
        "agreement": agreement,
    }
    record.facts.update({key: value for key, value in told.items() if value is not None})


def request_id(given: list[str] | tuple[str, ...] = ()) -> str:
    """The client's own id where it is one sane word, else a new one."""
    if len(given) == 1 and _ID.fullmatch(given[0]):
        return given[0]
    return secrets.token_hex(12)


def _shown(text: str) -> str:
    """Short enough for a log, and nothing but ASCII, whatever bytes the client sent."""
    return text[:LONGEST_TEXT].encode("ascii", "backslashreplace").decode("ascii")

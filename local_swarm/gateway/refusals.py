"""What is refused on purpose, and what a worker's own refusal means for its client."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local_swarm.errors import (
    ContextExceeded,
    InvalidRequest,
    NotAllowed,
    NotOffered,
    NotSupported,
    RequestError,
)
from local_swarm.gateway.trouble import NO_SUCH_PATH, OUR_KEY, is_clients_mistake
from local_swarm.gateway.upstream import Refused


async def changes_a_worker(request: web.Request) -> web.Response:
    """Handles what would change a worker: by saying what to do instead."""
    raise NotAllowed(
        f"{request.method} {request.path} would change a worker that all clients share.",
        hint="Set it in lswarm.toml, or give it to the engine: `lswarm up ... -- ENGINE ARGS`.",
    )


async def changes_the_model(request: web.Request) -> web.Response:
    raise NotAllowed(
        f"{request.method} {request.path}: a swarm serves the one model it was started with.",
        hint="Start it with another: `lswarm up --model NAME`; `lswarm models` lists them.",
    )


async def not_offered(request: web.Request) -> web.Response:
    raise NotOffered(
        f"{request.method} {request.path} is not offered by a swarm.",
        hint="docs/http.md lists what is.",
    )


def said_by_worker(refused: Refused) -> RequestError | None:
    """The error as the client should see it, with the worker's own words and fields; None where
    another try may help."""
    error = _own_fields(refused)
    if refused.status in NO_SUCH_PATH:
        return NotSupported(refused.message, extra=error)
    if refused.error.get("type") == "exceed_context_size_error":
        return ContextExceeded(refused.message, extra=error)
    if is_clients_mistake(refused):
        return InvalidRequest(refused.message)
    if 400 <= refused.status < 500 and refused.status not in OUR_KEY:
        return InvalidRequest(refused.message, extra=error)
    return None


def _own_fields(refused: Refused) -> dict[str, Any]:
    return {k: v for k, v in refused.error.items() if v is not None}

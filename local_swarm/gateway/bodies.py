"""What is read of a request before anything else: its JSON, and whose conversation it is."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from local_swarm.errors import InvalidRequest

BODY_TIMEOUT_S = 60.0
SESSION_HEADERS = ("X-Session-Affinity", "X-Session-Id")


async def read_json(request: web.Request) -> object:
    """The request's body. Raises InvalidRequest for what is not JSON or does not come."""
    try:
        body = await asyncio.wait_for(request.read(), BODY_TIMEOUT_S)
        return msgspec.json.decode(body)
    except asyncio.TimeoutError as exc:
        raise InvalidRequest(f"The body did not arrive within {BODY_TIMEOUT_S:g} s.") from exc
    except (web.RequestPayloadError, ContentEncodingError) as exc:
        raise InvalidRequest(f"The body cannot be read: {exc}.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from exc


def session_of(request: web.Request) -> str:
    """The client's own name for the conversation; "" where it gives none."""
    return next((request.headers[h] for h in SESSION_HEADERS if h in request.headers), "")

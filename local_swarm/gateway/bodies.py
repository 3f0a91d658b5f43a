"""What is read of a request before anything else: its JSON, and whose conversation it is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from local_swarm.errors import InvalidRequest
from local_swarm.gateway.within import result_within
from local_swarm.wire.limits import Limits

SESSION_HEADERS = ("X-Session-Affinity", "X-Session-Id")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """A body must have come within `within_s`, and ask for no more than `asked` allows."""

    within_s: float = 60.0
    asked: Limits = field(default_factory=Limits)


LIMITS = web.AppKey("limits", BodyLimits)


async def read_json(request: web.Request) -> object:
    """The request's body. Raises InvalidRequest for what is not JSON, does not come, or asks for
    more than the limits allow."""
    limits = request.app[LIMITS]
    try:
        if request.content.is_eof():  # it came with the head: nothing is left to wait for
            body = await request.read()
        else:
            body = await result_within(request.read(), limits.within_s)
        decoded = msgspec.json.decode(body)
    except asyncio.TimeoutError as exc:
        raise InvalidRequest(f"The body did not arrive within {limits.within_s:g} s.") from exc
    except (web.RequestPayloadError, ContentEncodingError, ConnectionError) as exc:
        raise InvalidRequest(f"The body cannot be read: {exc}.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from exc
    limits.asked.check(decoded, len(body))
    return decoded


def session_of(request: web.Request) -> str:
    """The client's own name for the conversation; "" where it gives none."""
    return next((request.headers[h] for h in SESSION_HEADERS if h in request.headers), "")

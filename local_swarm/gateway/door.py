"""What every request passes on its way in: an id, host check, key check, errors as JSON."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local_swarm.errors import InvalidRequest, LocalSwarmError, RequestError, Unauthorized
from local_swarm.gateway.access import Reporter
from local_swarm.gateway.connections import error_response, http_error_response
from local_swarm.gateway.record import ID_HEADER, LEFT, RECORD, record_of, request_id
from local_swarm.telemetry import spans
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

OPEN_PATHS = frozenset({"/health", "/v1/health", "/ready", "/openapi.json"})
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Door:
    """`keys` empty: no key is asked for. `hosts` are accepted Host names besides addresses and
    this machine's loopback."""

    keys: Collection[str]
    hosts: Collection[str]

    def check_host(self, request: web.Request) -> None:
        """A web page must not reach a local model, neither through a name of its own that it
        points here (DNS rebinding: always a name, never an address) nor from another origin.

        Raises InvalidRequest.
        """
        host = _only(request, "Host")
        if host is None and request.version >= (1, 1):
            raise InvalidRequest("The Host header is missing.")
        name = None if host is None else host_name(host)
        if host is not None and not self._is_ours(name):
            raise _not_accepted("Host", host)
        origin = _only(request, "Origin")
        if origin is None:
            return
        came_from = origin_name(origin)
        if came_from is None or came_from not in (name, *LOOPBACK_NAMES, *self.hosts):
            raise _not_accepted("Origin", origin)

    def _is_ours(self, name: str | None) -> bool:
        return name is not None and (_is_address(name) or name in self.hosts)

    def check_key(self, request: web.Request) -> None:
        """Raises Unauthorized."""
        if not self.keys or request.path in OPEN_PATHS:
            return
        if not is_among(keys_shown(request), self.keys):
            raise Unauthorized("A valid API key is needed (Authorization: Bearer KEY).")


def keys_shown(request: web.Request) -> list[bytes]:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    shown = [bearer.strip()] if scheme.lower() == "bearer" else []
    shown.append(request.headers.get("X-Api-Key", ""))  # some clients send both
    return [key.encode("utf-8", "surrogateescape") for key in shown]


def is_among(shown: Collection[bytes], keys: Collection[str]) -> bool:
    """Whether one of these is one of those. Every key is compared, so that the time taken tells
    nothing."""
    matches = [hmac.compare_digest(given, key.encode()) for given in shown for key in keys]
    return any(matches)


def host_name(value: str) -> str | None:
    """The name or address in `name`, `name:port` or `[v6]:port`; None for anything else."""
    found = _HOST.fullmatch(value.lower())
    return None if found is None else found[1] or found[2]


def origin_name(value: str) -> str | None:
    """The name or address in `scheme://name:port`; None for anything else, "null" included."""
    scheme = _SCHEME.match(value.lower())
    return None if scheme is None else host_name(value[scheme.end() :])


def _only(request: web.Request, header: str) -> str | None:
    """The header's one value, None where there is none. Raises InvalidRequest for several."""
    values = request.headers.getall(header, ())
    if len(values) > 1:
        raise InvalidRequest(f"There are several {header} headers.")
    return values[0] if values else None


def _is_address(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _not_accepted(header: str, value: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {header} {value[:100]!r} is not accepted.",
        hint="Add its name to server.allowed_hosts in the configuration.",
    )


def door_middleware(door: Door, reporter: Reporter) -> Middleware:
    """What every request passes: a record, the checks, and every error as JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        record = record_of(request)
        structlog.contextvars.bind_contextvars(request_id=record.id)
        reporter.began(record)
        try:
            with spans.span("request", request.headers, id=record.id, route=record.route):
                response = await _answered(door, request, handler)
                spans.describe(status=response.status, **record.facts)
                return response
        except asyncio.CancelledError:
            reporter.over(record, LEFT)  # the client has left: nothing will be written
            raise
        finally:
            reporter.left()

    return middleware


async def _answered(door: Door, request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        door.check_host(request)
        door.check_key(request)
        return await handler(request)
    except LocalSwarmError as exc:
        if request[RECORD].first_byte_s is not None:  # a stream that was cut off has told it
            raise asyncio.CancelledError from exc
        return error_response(exc, request.path)
    except web.HTTPException as exc:
        return http_error_response(exc, request.path)
    except Exception:
        log.exception("request failed", path=request[RECORD].path)
        failed = RequestError("The gateway failed; its log says how.")
        return error_response(failed, request.path)


async def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Called when an answer's head is about to go out, of a stream's too: its id goes with it."""
    record = request.get(RECORD)
    if record is None:  # aiohttp's own answer, of an Expect that it does not know
        response.headers[ID_HEADER] = request_id()
        return
    response.headers[ID_HEADER] = record.id
    record.began()

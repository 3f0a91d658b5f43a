"""What every request passes on its way in: host check, key check, errors as JSON, metrics."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from local_swarm.errors import Blame, InvalidRequest, LocalSwarmError, RequestError, Unauthorized
from local_swarm.gateway.metrics import Metrics
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire.errors import SOURCE_HEADER, error_body, error_headers

log = get_logger(__name__)

OPEN_PATHS = frozenset({"/health", "/ready"})


@dataclass(frozen=True, slots=True)
class Door:
    """`keys` empty: no key is asked for. `hosts` are accepted Host names besides addresses of
    this machine's loopback."""

    keys: Collection[str]
    hosts: Collection[str]
    metrics: Metrics

    def check_host(self, request: web.Request) -> None:
        """A web page must not reach a local model, neither through a name of its own that it
        points here (DNS rebinding: always a name, never an address) nor from another origin.

        Raises InvalidRequest.
        """
        host = _host_name(request.headers.get("Host", ""))
        if host and not (_is_address(host) or host in self.hosts):
            raise _not_accepted("Host", host)
        origin = _host_name(request.headers.get("Origin", ""))
        if origin and origin not in (host, "localhost", "127.0.0.1", "::1", *self.hosts):
            raise _not_accepted("Origin", origin)

    def check_key(self, request: web.Request) -> None:
        """Raises Unauthorized."""
        if not self.keys or request.path in OPEN_PATHS:
            return
        shown = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        shown = shown or request.headers.get("X-Api-Key", "")
        # Every key is compared, so that the time taken tells nothing.
        given = shown.encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(given, key.encode()) for key in self.keys]
        if not any(matches):
            raise Unauthorized("A valid API key is needed (Authorization: Bearer KEY).")


def _host_name(value: str) -> str:
    name = value.split("://", 1)[-1].split("/", 1)[0].lower()
    if name.startswith("["):
        return name[1:].split("]", 1)[0]
    return name.rsplit(":", 1)[0] if ":" in name else name


def _is_address(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _not_accepted(header: str, name: str) -> InvalidRequest:
    return InvalidRequest(
        f"The {header} {name!r} is not accepted.",
        hint="Add it to server.allowed_hosts in the configuration.",
    )


def door_middleware(door: Door) -> Middleware:
    """The one middleware: checks, counts, and turns every error into JSON."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        route = request.match_info.route.resource
        name = route.canonical if route is not None else "other"
        door.metrics.in_flight.inc()
        status = 499  # the client left
        try:
            door.check_host(request)
            door.check_key(request)
            response = await handler(request)
            status = response.status
            return response
        except LocalSwarmError as exc:
            status = exc.http_status
            return _error_response(exc)
        except web.HTTPException as exc:
            status = exc.status
            return _http_error_response(exc)
        except Exception:
            status = 500
            log.exception("request failed", path=request.path)
            return _error_response(RequestError("The gateway failed; its log says how."))
        finally:
            door.metrics.in_flight.dec()
            door.metrics.answered(name, status, time.monotonic() - started)

    return middleware


def _error_response(error: LocalSwarmError) -> web.Response:
    return web.Response(
        status=error.http_status,
        body=msgspec.json.encode(error_body(error)),
        content_type="application/json",
        headers=error_headers(error),
    )


def _http_error_response(error: web.HTTPException) -> web.Response:
    """aiohttp's own 404, 405, 413, ... in the same shape."""
    status = HTTPStatus(error.status)
    message = {404: "There is nothing here.", 405: "This method is not allowed here."}.get(
        error.status, error.reason
    )
    code = status.phrase.lower().replace(" ", "_")
    body = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {SOURCE_HEADER: Blame.CLIENT.value}
    if "Allow" in error.headers:
        headers["Allow"] = error.headers["Allow"]
    return web.Response(
        status=error.status,
        body=msgspec.json.encode({"error": body}),
        content_type="application/json",
        headers=headers,
    )

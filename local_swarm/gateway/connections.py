"""The connections of the port: how many, how long without a request, what is not HTTP at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import PayloadEncodingError

from local_swarm.errors import Blame, InvalidRequest, LocalSwarmError, Overloaded, RequestError
from local_swarm.gateway.record import ID_HEADER, request_id
from local_swarm.telemetry.logs import get_logger
from local_swarm.wire.errors import SOURCE_HEADER, error_body, error_headers, error_shown

log = get_logger(__name__)

RETRY_AFTER_S = 5
MAX_LINE_BYTES = 8190
MAX_HEADER_BYTES = 16384  # of one header
MAX_HEADERS = 100
BROKEN_BODY = (PayloadEncodingError, web.RequestPayloadError, ConnectionError)
"""What reading a body may end in through the client's fault."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`idle_s` is how long a connection may be open without a whole request head: from its first
    byte on, and between two requests."""

    most: int = 512
    idle_s: float = 60.0


def factory(
    server: web.Server,
    limits: Callable[[], ConnectionLimits],
    access: type[AbstractAccessLogger],
    refused: Callable[[], None],
) -> Callable[[], asyncio.Protocol]:
    """What a listening socket calls for each connection, with the `limits` of that moment;
    `refused` is told of one too many."""
    loop = asyncio.get_running_loop()

    def connection() -> asyncio.Protocol:
        now = limits()
        if len(server.connections) >= now.most:
            refused()
            return Full()
        return Connection(
            server,
            loop=loop,
            # aiohttp counts it from the connection's opening too, whatever has come of a request.
            keepalive_timeout=now.idle_s,
            access_log=getLogger(__name__),  # unused: `access` has its own
            access_log_class=access,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )

    return connection


class Connection(web.RequestHandler):
    """Answers what is no HTTP request as every other error: as JSON, and without a traceback in
    the log for a client's mistake."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by aiohttp for a request that it cannot parse, and for a handler that failed."""
        if status >= 500:
            log.error("request failed", exc_info=exc)
            error: RequestError = RequestError("The gateway failed; its log says how.")
        else:
            log.debug("not HTTP", why=type(exc).__name__)
            error = InvalidRequest(f"This is not an HTTP request ({type(exc).__name__}).")
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = error_response(error)
        response.headers[ID_HEADER] = request_id()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Called by aiohttp, also for the rest of a body that nobody wants and that is broken."""
        if isinstance(kwargs.get("exc_info"), BROKEN_BODY):
            log.debug("a body broke off", why=type(kwargs["exc_info"]).__name__)
        else:
            super().log_exception(*args, **kwargs)


class Full(asyncio.Protocol):
    """One connection too many: it is told so and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        error = Overloaded("Too many connections are open.", retry_after_s=RETRY_AFTER_S)
        body = msgspec.json.encode(error_body(error))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            ID_HEADER: request_id(),
            **error_headers(error),
        }
        lines = [f"{key}: {value}" for key, value in headers.items()]
        head = "\r\n".join(["HTTP/1.1 503 Service Unavailable", *lines, "", ""])
        transport.write(head.encode("ascii") + body)
        transport.close()


def error_response(error: LocalSwarmError, path: str = "") -> web.Response:
    """Any error of ours as an HTTP answer, for the clients of that path."""
    body = error_shown(path, error.http_status, error_body(error))
    return _json_error(error.http_status, body, error_headers(error))


def http_error_response(error: web.HTTPException, path: str = "") -> web.Response:
    """aiohttp's own 404, 405, 413, ... in the same shape."""
    message = {404: "There is nothing here.", 405: "This method is not allowed here."}.get(
        error.status, error.reason
    )
    code = error.reason.lower().replace(" ", "_")
    body = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {SOURCE_HEADER: Blame.CLIENT.value}
    if "Allow" in error.headers:
        headers["Allow"] = error.headers["Allow"]
    return _json_error(error.status, error_shown(path, error.status, {"error": body}), headers)


def _json_error(status: int, body: object, headers: dict[str, str]) -> web.Response:
    return web.Response(
        status=status,
        body=_encoded(body),
        content_type="application/json",
        headers=headers,
    )


def _encoded(body: object) -> bytes:
    """JSON, also where the message quotes bytes of the client that are no text."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

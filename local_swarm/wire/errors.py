"""Errors as clients read them: OpenAI's shape, and Anthropic's, which is the same and more."""

from __future__ import annotations

from typing import Any

import msgspec

from local_swarm.errors import LocalSwarmError, RequestError
from local_swarm.wire.sse import encode_event

SOURCE_HEADER = "X-Swarm-Error-Source"
ANTHROPIC_PATH = "/v1/messages"
ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""The types of errors that its clients know, by status; any other is an `api_error`."""


def error_body(error: LocalSwarmError) -> dict[str, Any]:
    """`{"error": {message, type, code, param, ...}}`; an overflow carries llama-server's fields."""
    if isinstance(error, RequestError):
        kind, param, extra = error.type, error.param, error.extra
    else:
        kind, param, extra = "server_error", None, {}
    return {
        "error": {
            "message": str(error),
            "type": kind,
            "code": error.code,
            "param": param,
            **extra,
        }
    }


def error_event(error: LocalSwarmError) -> bytes:
    """The same as a framed stream event."""
    return encode_event(msgspec.json.encode(error_body(error)))


def anthropic_error_body(error: LocalSwarmError) -> dict[str, Any]:
    return as_anthropic(error.http_status, error_body(error))


def error_shown(path: str, status: int, body: dict[str, Any]) -> dict[str, Any]:
    """An error body (see `error_body`) as clients of that path read it."""
    return as_anthropic(status, body) if path.startswith(ANTHROPIC_PATH) else body


def as_anthropic(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """`{"type": "error", "error": {"type", "message", ...}}` with our own fields beside theirs."""
    kind = ANTHROPIC_TYPES.get(status, "api_error")
    return {"type": "error", "error": {**body["error"], "type": kind}}


def error_headers(error: LocalSwarmError) -> dict[str, str]:
    """Who failed: gateway, worker, peer or client."""
    headers = {SOURCE_HEADER: error.blame.value}
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return headers

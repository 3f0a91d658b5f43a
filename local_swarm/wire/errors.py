"""Errors as OpenAI clients read them."""

from __future__ import annotations

from typing import Any

from local_swarm.errors import LocalSwarmError, RequestError

SOURCE_HEADER = "X-Swarm-Error-Source"


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


def error_headers(error: LocalSwarmError) -> dict[str, str]:
    """Who failed: gateway, worker, peer or client."""
    headers = {SOURCE_HEADER: error.blame.value}
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return headers

"""GET /openapi.json: the table of routes as an OpenAPI 3.1 document.

It is made from `ROUTES`, so that it cannot lag behind; what each kind of route takes and gives is
in `openapi_kinds.py`, the shapes in `openapi_schemas.py`. It tells nothing of this swarm, so no key
is asked for.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from aiohttp import web

import local_swarm
from local_swarm.gateway.openapi_kinds import KINDS, Operation
from local_swarm.gateway.openapi_schemas import ERROR_STATUS, HEADERS, SCHEMAS
from local_swarm.gateway.routes import ROUTES, Route

DIALECT = "3.1.0"
_PARAMETER = re.compile(r"{(\w+)}")


async def handle(request: web.Request) -> web.Response:
    return web.Response(body=_encoded(), content_type="application/json")


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The whole document, a new one at each call."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": DIALECT,
        "info": {
            "title": "Local Swarm",
            "version": local_swarm.__version__,
            "description": "One OpenAI-compatible port in front of a voting swarm.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "headers": HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
            "responses": {_name(status): _error(status) for status in ERROR_STATUS},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    kind = KINDS[route.kind]
    operation: dict[str, Any] = {
        "operationId": _id(route),
        "summary": kind.summary,
        "tags": [kind.tag],
        "responses": _responses(kind),
    }
    if parameters := [_parameter(name) for name in _PARAMETER.findall(route.path)]:
        operation["parameters"] = parameters
    if kind.body:
        content = {"application/json": {"schema": _schema(kind.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(kind: Operation) -> dict[str, Any]:
    errors = {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in kind.errors
    }
    if kind.answers is None:
        return errors
    content = {media: {"schema": _schema(name)} for media, name in kind.answers.items()}
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in kind.headers}
    return {"200": {"description": kind.summary, "headers": headers, "content": content}, **errors}


def _error(status: int) -> dict[str, Any]:
    description, headers = ERROR_STATUS[status]
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {"application/json": {"schema": _schema("Error")}},
    }


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _name(status: int) -> str:
    return f"Error{status}"


def _id(route: Route) -> str:
    words = [word for word in re.split(r"[^a-zA-Z0-9]+", route.path) if word]
    return "_".join([route.method.lower(), *words])

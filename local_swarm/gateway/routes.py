"""Every route of the gateway, in one table: what comes in where, and who answers it.

`docs/http.md` says the same for people; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from aiohttp import web
from aiohttp.typedefs import Middleware


class Kind(Enum):
    """Who answers; `building.build` has one handler for each."""

    CHAT = "chat"
    TEXT = "text completions"
    MESSAGES = "messages"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    ASKED = "asked"
    COUNTED_MESSAGES = "counted messages"
    COUNTED_RESPONSES = "counted responses"
    PROPS = "props"
    SLOTS = "slots"
    MODELS = "models"
    HEALTH = "health"
    READY = "ready"
    METRICS = "metrics"
    STATUS = "status"
    EVENTS = "events"
    OPENAPI = "openapi"
    RESTART = "restart"
    SCALE = "scale"
    RELOAD = "reload"
    CHANGES_A_WORKER = "changes a worker"
    CHANGES_THE_MODEL = "changes the model"
    NOT_OFFERED = "not offered"


@dataclass(frozen=True, slots=True)
class Route:
    """`upstream` is the path that a worker is asked where it has another name there."""

    method: str
    path: str
    kind: Kind
    upstream: str = ""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PassingHandler = Callable[[web.Request, str], Awaitable[web.StreamResponse]]

ROUTES = (
    # voted
    Route("POST", "/v1/chat/completions", Kind.CHAT),
    Route("POST", "/chat/completions", Kind.CHAT),
    Route("POST", "/v1/completions", Kind.TEXT),
    Route("POST", "/v1/messages", Kind.MESSAGES),
    Route("POST", "/v1/responses", Kind.RESPONSES),
    Route("POST", "/responses", Kind.RESPONSES),
    # passed through, one slot each
    Route("POST", "/completion", Kind.COMPLETIONS),
    Route("POST", "/completions", Kind.COMPLETIONS, "/completion"),
    Route("POST", "/infill", Kind.COMPLETIONS),
    Route("POST", "/v1/embeddings", Kind.EMBEDDINGS),
    Route("POST", "/embeddings", Kind.EMBEDDINGS),
    Route("POST", "/embedding", Kind.EMBEDDINGS),
    Route("POST", "/rerank", Kind.EMBEDDINGS),
    Route("POST", "/reranking", Kind.EMBEDDINGS, "/rerank"),
    Route("POST", "/v1/rerank", Kind.EMBEDDINGS, "/rerank"),
    Route("POST", "/v1/reranking", Kind.EMBEDDINGS, "/rerank"),
    # passed through, no slot
    Route("POST", "/tokenize", Kind.ASKED),
    Route("POST", "/detokenize", Kind.ASKED),
    Route("POST", "/apply-template", Kind.ASKED),
    Route("POST", "/v1/messages/count_tokens", Kind.COUNTED_MESSAGES),
    Route("POST", "/v1/chat/completions/input_tokens", Kind.ASKED),
    Route("POST", "/chat/completions/input_tokens", Kind.ASKED),
    Route("POST", "/v1/responses/input_tokens", Kind.COUNTED_RESPONSES),
    Route("POST", "/responses/input_tokens", Kind.COUNTED_RESPONSES),
    # told
    Route("GET", "/props", Kind.PROPS),
    Route("GET", "/slots", Kind.SLOTS),
    Route("GET", "/v1/models", Kind.MODELS),
    Route("GET", "/models", Kind.MODELS),
    Route("GET", "/health", Kind.HEALTH),
    Route("GET", "/v1/health", Kind.HEALTH),
    Route("GET", "/ready", Kind.READY),
    Route("GET", "/metrics", Kind.METRICS),
    Route("GET", "/v1/swarm/status", Kind.STATUS),
    Route("GET", "/v1/swarm/events", Kind.EVENTS),
    Route("GET", "/openapi.json", Kind.OPENAPI),
    # changes of the swarm, with its control key
    Route("POST", "/v1/swarm/restart", Kind.RESTART),
    Route("POST", "/v1/swarm/scale", Kind.SCALE),
    Route("POST", "/v1/swarm/reload", Kind.RELOAD),
    # refused on purpose
    Route("POST", "/props", Kind.CHANGES_A_WORKER),
    Route("POST", "/slots/{id}", Kind.CHANGES_A_WORKER),
    Route("GET", "/lora-adapters", Kind.NOT_OFFERED),
    Route("POST", "/lora-adapters", Kind.CHANGES_A_WORKER),
    Route("POST", "/models/load", Kind.CHANGES_THE_MODEL),
    Route("POST", "/models/unload", Kind.CHANGES_THE_MODEL),
    Route("POST", "/models", Kind.CHANGES_THE_MODEL),
    Route("GET", "/tools", Kind.NOT_OFFERED),
    Route("POST", "/tools", Kind.NOT_OFFERED),
    Route("POST", "/v1/audio/transcriptions", Kind.NOT_OFFERED),
)


def add_routes(
    app: web.Application,
    handlers: Mapping[Kind, Handler],
    passing: Mapping[Kind, PassingHandler],
    around: Middleware,
) -> None:
    """Every kind has its handler in one of the two; `passing` is told the worker's path too.

    `around` is put around each of them here: aiohttp holds on to every application that has
    middlewares of its own, long after its end (web_app.py `_cached_build_middleware`).
    """
    for route in ROUTES:
        if route.kind in passing:
            handler = _bound(passing[route.kind], route.upstream or route.path)
        else:
            handler = handlers[route.kind]
        handler = _behind(around, handler)
        if route.method == "GET":
            app.router.add_get(route.path, handler, expect_handler=_expected)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler, expect_handler=_expected)


async def _expected(request: web.Request) -> None:
    """A client that asks whether to send its body is told to. Any other `Expect` is ignored, as
    HTTP allows: aiohttp would refuse it before the door has seen the request."""
    if request.version >= (1, 1) and request.headers["Expect"].lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer nothing has been sent yet


def _behind(around: Middleware, handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await around(request, handler)

    return handle


def _bound(handler: PassingHandler, path: str) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request, path)

    return handle

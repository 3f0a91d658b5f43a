"""What each kind of route takes and gives, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from local_swarm.gateway.routes import Kind

JSON = "application/json"
SSE = "text/event-stream"
ID = ("X-Request-Id",)
AT_THE_DOOR = (400, 401)
ASKING = (*AT_THE_DOOR, 404, 413, 501, 502, 503, 504)
VOTING = (*AT_THE_DOOR, 404, 413, 422, 501, 502, 503, 504)
CONTROLLING = (*AT_THE_DOOR, 403, 413, 500, 501, 503)
TELLING = (*AT_THE_DOOR, 501, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Operation:
    """`body` and the values of `answers` (by media type, of a 200) are names of schemas."""

    summary: str
    tag: str
    errors: tuple[int, ...]
    answers: Mapping[str, str] | None = None
    body: str = ""
    headers: tuple[str, ...] = ID


VOTED = (*ID, "X-Swarm-Strategy", "X-Swarm-Voters")

KINDS: Mapping[Kind, Operation] = {
    Kind.CHAT: Operation(
        "A chat completion, voted on where that can help.",
        "OpenAI",
        VOTING,
        {JSON: "ChatCompletion", SSE: "EventStream"},
        "ChatRequest",
        VOTED,
    ),
    Kind.TEXT: Operation(
        "A completion of a plain prompt, voted on where that can help.",
        "OpenAI",
        VOTING,
        {JSON: "TextCompletion", SSE: "EventStream"},
        "TextRequest",
        VOTED,
    ),
    Kind.RESPONSES: Operation(
        "A response, voted on where that can help; nothing is stored.",
        "OpenAI",
        VOTING,
        {JSON: "Response", SSE: "EventStream"},
        "ResponsesRequest",
        VOTED,
    ),
    Kind.MESSAGES: Operation(
        "An Anthropic message, voted on where that can help.",
        "Anthropic",
        VOTING,
        {JSON: "Message", SSE: "EventStream"},
        "MessagesRequest",
        VOTED,
    ),
    Kind.COUNTED_MESSAGES: Operation(
        "How many tokens a message request has.",
        "Anthropic",
        ASKING,
        {JSON: "Count"},
        "MessagesRequest",
    ),
    Kind.COUNTED_RESPONSES: Operation(
        "How many tokens a response request has.",
        "OpenAI",
        ASKING,
        {JSON: "Count"},
        "ResponsesRequest",
    ),
    Kind.COMPLETIONS: Operation(
        "llama-server's own completion, passed through.",
        "llama-server",
        ASKING,
        {JSON: "Passed", SSE: "EventStream"},
        "CompletionRequest",
    ),
    Kind.EMBEDDINGS: Operation(
        "Embeddings or a ranking, passed through.",
        "llama-server",
        ASKING,
        {JSON: "Passed"},
        "PassedRequest",
    ),
    Kind.ASKED: Operation(
        "Tokens, templates and counts, passed through.",
        "llama-server",
        ASKING,
        {JSON: "Passed"},
        "PassedRequest",
    ),
    Kind.PROPS: Operation("Properties of one worker.", "llama-server", TELLING, {JSON: "Passed"}),
    Kind.SLOTS: Operation("The slots of all workers.", "llama-server", TELLING, {JSON: "Passed"}),
    Kind.MODELS: Operation("The models served.", "OpenAI", AT_THE_DOOR, {JSON: "Models"}),
    Kind.HEALTH: Operation("The gateway lives.", "swarm", (400,), {JSON: "State"}),
    Kind.READY: Operation(
        "Whether a worker takes traffic; 503 where none does.",
        "swarm",
        (400, 503),
        {JSON: "State"},
    ),
    Kind.METRICS: Operation("Prometheus metrics.", "swarm", AT_THE_DOOR, {"text/plain": "Text"}),
    Kind.STATUS: Operation(
        "Workers, queue and voters.", "swarm", AT_THE_DOOR, {JSON: "SwarmStatus"}
    ),
    Kind.EVENTS: Operation(
        "What happens in the swarm, as it happens.",
        "swarm",
        (*AT_THE_DOOR, 503),
        {SSE: "EventStream"},
    ),
    Kind.OPENAPI: Operation("This document.", "swarm", (400,), {JSON: "Passed"}),
    Kind.RESTART: Operation(
        "Restarts one worker, or all of them one after the other.",
        "control",
        CONTROLLING,
        {JSON: "Report"},
        "RestartRequest",
    ),
    Kind.SCALE: Operation(
        "Changes the number of workers.", "control", CONTROLLING, {JSON: "Report"}, "ScaleRequest"
    ),
    Kind.RELOAD: Operation(
        "Applies the configuration as it is now.",
        "control",
        CONTROLLING,
        {JSON: "Report"},
        "ReloadRequest",
    ),
    Kind.CHANGES_A_WORKER: Operation(
        "Refused: it would change a worker that all clients share.",
        "refused",
        (*AT_THE_DOOR, 403),
    ),
    Kind.CHANGES_THE_MODEL: Operation(
        "Refused: a swarm serves one model.", "refused", (*AT_THE_DOOR, 403)
    ),
    Kind.NOT_OFFERED: Operation("Not offered by a swarm.", "refused", (*AT_THE_DOOR, 501)),
}
"""Every kind of route; a test fails when one is missing."""

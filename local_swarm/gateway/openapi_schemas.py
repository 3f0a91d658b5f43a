"""The shapes of requests and answers, for the OpenAPI document.

Of requests only what the gateway itself acts on is named: every other field is the worker's, and
passes. Of answers likewise.
"""

from __future__ import annotations

from typing import Any

from local_swarm.wire.request import MAX_SAMPLES

Schema = dict[str, Any]

ID_AND_SOURCE = ("X-Request-Id", "X-Swarm-Error-Source")
ERROR_STATUS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request is wrong, or too long for a slot.", ID_AND_SOURCE),
    401: ("No valid key, where keys are asked for.", ID_AND_SOURCE),
    403: ("Refused on purpose.", ID_AND_SOURCE),
    404: ("The model is not served here.", ID_AND_SOURCE),
    413: ("The body is too large.", ID_AND_SOURCE),
    422: ("Every answer broke the request's own rules.", ID_AND_SOURCE),
    500: ("It failed, and the swarm runs on; the message says what has happened.", ID_AND_SOURCE),
    501: ("The model, or the engine as it was started, cannot do it.", ID_AND_SOURCE),
    502: ("No worker gave an answer.", ID_AND_SOURCE),
    503: ("The queue is full, or no worker is ready.", (*ID_AND_SOURCE, "Retry-After")),
    504: ("The time was up.", ID_AND_SOURCE),
}
"""Status -> what it means, and the headers that come with it."""


def _header(description: str, kind: str = "string", *, required: bool = False) -> Schema:
    return {"description": description, "required": required, "schema": {"type": kind}}


HEADERS: dict[str, Schema] = {
    "X-Request-Id": _header("The client's own id, or a new one.", required=True),
    "X-Swarm-Error-Source": _header("Who failed: client, gateway, worker or peer."),
    "Retry-After": _header("Seconds after which another try may succeed.", "integer"),
    "X-Swarm-Strategy": _header("How the answers were compared."),
    "X-Swarm-Voters": _header("How many voters were asked.", "integer"),
}


def _maybe(kind: str, **more: Any) -> Schema:
    return {"type": [kind, "null"], **more}


def _object(properties: Schema, *required: str, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_WHOLE: Schema = {"type": "integer"}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object"}}
_TOKENS = _maybe("integer", minimum=-1, maximum=2**20)
_SWARM: Schema = {"$ref": "#/components/schemas/Verdict"}
_PART: Schema = _object({"type": _TEXT, "text": _TEXT}, "type")
_MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": _object(
        {
            "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
            "content": {"anyOf": [_TEXT, {"type": "null"}, {"type": "array", "items": _PART}]},
        },
        "role",
    ),
}
_PROMPT: Schema = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT},
        {"type": "array", "items": {"type": "integer", "minimum": 0}},
    ]
}
_VOTED: Schema = {
    "model": _maybe("string"),
    "stream": _maybe("boolean"),
    "stream_options": _maybe("object", properties={"include_usage": _maybe("boolean")}),
    "temperature": _maybe("number"),
    "swarm": {"anyOf": [{"$ref": "#/components/schemas/SwarmOptions"}, {"type": "null"}]},
}

SCHEMAS: dict[str, Schema] = {
    "Error": _object(
        {
            "error": _object(
                {
                    "message": _TEXT,
                    "type": _TEXT,
                    "code": {"type": ["string", "integer"]},
                    "param": _maybe("string"),
                    "n_prompt_tokens": _WHOLE,
                    "n_ctx": _WHOLE,
                },
                *("message", "type", "code"),
            )
        },
        "error",
    ),
    "SwarmOptions": _object(
        {
            "strategy": _maybe("string"),
            "samples": _maybe("integer", minimum=1, maximum=MAX_SAMPLES),
            "quorum": _maybe("integer", minimum=1, maximum=MAX_SAMPLES),
            "stream": {"enum": ["vote", "leader", None]},
            "include_candidates": _maybe("boolean"),
            "adaptive": _maybe("boolean"),
        },
    ),
    "ChatRequest": _object(
        {
            **_VOTED,
            "messages": _MESSAGES,
            "n": _maybe("integer", minimum=1, maximum=128),
            "seed": _maybe("integer", minimum=-(2**63), maximum=2**63 - 1),
            "max_tokens": _TOKENS,
            "max_completion_tokens": _TOKENS,
            "tools": _maybe("array", items={"type": "object"}),
            "tool_choice": {},
            "parallel_tool_calls": _maybe("boolean"),
            "response_format": _maybe("object"),
        },
        "messages",
    ),
    "TextRequest": _object(
        {
            **_VOTED,
            "prompt": _PROMPT,
            "n": _maybe("integer", minimum=1, maximum=128),
            "best_of": _maybe("integer", minimum=1, maximum=MAX_SAMPLES),
            "echo": _maybe("boolean"),
            "max_tokens": _TOKENS,
        },
        "prompt",
    ),
    "ResponsesRequest": _object(
        {
            **_VOTED,
            "input": {},
            "instructions": _maybe("string"),
            "max_output_tokens": _maybe("integer", minimum=1, maximum=2**20),
            "tools": _maybe("array", items={"type": "object"}),
            "text": _maybe("object"),
        },
        "input",
    ),
    "MessagesRequest": _object(
        {
            **_VOTED,
            "messages": _MESSAGES,
            "system": {},
            "max_tokens": _TOKENS,
            "tools": _maybe("array", items={"type": "object"}),
            "stop_sequences": _maybe("array", items=_TEXT),
        },
        "messages",
    ),
    "ChatCompletion": _object(
        {
            "id": _TEXT,
            "object": {"const": "chat.completion"},
            "created": _WHOLE,
            "model": _TEXT,
            "choices": _OBJECTS,
            "usage": {"type": "object"},
            "swarm": _SWARM,
        },
        *("id", "object", "created", "model", "choices", "swarm"),
    ),
    "TextCompletion": _object(
        {
            "id": _TEXT,
            "object": {"const": "text_completion"},
            "created": _WHOLE,
            "model": _TEXT,
            "choices": _OBJECTS,
            "usage": {"type": "object"},
            "swarm": _SWARM,
        },
        *("id", "object", "created", "model", "choices", "swarm"),
    ),
    "Response": _object(
        {
            "id": _TEXT,
            "object": {"const": "response"},
            "status": _TEXT,
            "model": _TEXT,
            "output": _OBJECTS,
            "swarm": _SWARM,
        },
        *("id", "object", "status", "model", "output", "swarm"),
    ),
    "Message": _object(
        {
            "id": _TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": _TEXT,
            "content": _OBJECTS,
            "stop_reason": _maybe("string"),
            "usage": {"type": "object"},
            "swarm": _SWARM,
        },
        *("id", "type", "role", "model", "content", "swarm"),
    ),
    "Count": _object({"input_tokens": _WHOLE}, "input_tokens"),
    "Verdict": _object(
        {
            "strategy": _TEXT,
            "voters": _WHOLE,
            "answered": _WHOLE,
            "abstained": _WHOLE,
            "agreement": {"type": "number", "minimum": 0, "maximum": 1},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "winner": _WHOLE,
            "elapsed_ms": {"type": "number"},
            "completion_tokens": _WHOLE,
            "early": _object(
                {"why": {"enum": ["settled", "stragglers", "first"]}, "saved": _WHOLE}
            ),
            "judges": _WHOLE,
            "why": _TEXT,
            "reasons": {"type": "array", "items": _TEXT},
            "candidates": _OBJECTS,
        },
        *("strategy", "voters", "answered", "agreement", "winner"),
    ),
    "CompletionRequest": _object(
        {
            "model": _maybe("string"),
            "prompt": _PROMPT,
            "stream": _maybe("boolean"),
            "n": _maybe("integer"),
            "n_predict": _TOKENS,
        }
    ),
    "PassedRequest": _object({"model": _maybe("string")}),
    "Passed": {"description": "A worker's own answer, unchanged."},
    "Models": _object(
        {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": _object(
                    {
                        "id": _TEXT,
                        "object": {"const": "model"},
                        "created": _WHOLE,
                        "owned_by": _TEXT,
                        "context_length": _WHOLE,
                    },
                    *("id", "object", "created", "owned_by", "context_length"),
                ),
            },
        },
        *("object", "data"),
    ),
    "RestartRequest": _object({"worker": _maybe("string")}, additionalProperties=False),
    "ScaleRequest": _object(
        {"workers": {"type": "integer", "minimum": 1}}, "workers", additionalProperties=False
    ),
    "ReloadRequest": _object({}, additionalProperties=False),
    "Report": _object(
        {"done": _TEXTS, "applied": _TEXTS, "needs_restart": _TEXTS, "workers": _TEXTS},
        *("done", "applied", "needs_restart", "workers"),
    ),
    "State": _object({"status": _TEXT}, "status"),
    "SwarmStatus": _object(
        {
            "model": _TEXT,
            "version": _TEXT,
            "ready": {"type": "boolean"},
            "asleep": {"type": "boolean"},
            "uptime_s": {"type": "number"},
            "workers": _OBJECTS,
            "voters": _WHOLE,
            "queue": _object({"waiting": _WHOLE, "in_flight": _WHOLE}, "waiting", "in_flight"),
            "peers": _OBJECTS,
        },
        *("model", "version", "ready", "asleep", "uptime_s", "workers", "voters", "queue"),
        "peers",
    ),
    "Text": _TEXT,
    "EventStream": {"description": "Server-sent events; the data of each is JSON, or [DONE]."},
}

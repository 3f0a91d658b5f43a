"""Requests that no client should send, as bytes, drawn from a seeded generator."""

from __future__ import annotations

import copy
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local_swarm.gateway.routes import ROUTES

PATHS = [route.path.replace("{id}", "0") for route in ROUTES if route.method == "POST"]
READ = [
    route.path
    for route in ROUTES
    if route.method == "GET" and route.path != "/v1/swarm/events"  # which never ends
]
CHAT: dict[str, Any] = {
    "model": "fake",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "done"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
            },
        }
    ],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    "stream": False,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "max_tokens": 4,
    "n": 1,
    "seed": 1,
    "stop": ["x"],
    "swarm": {"strategy": "auto", "samples": 2, "quorum": 1, "include_candidates": True},
}
PASSED: dict[str, Any] = {
    "prompt": "def f(",
    "input_prefix": "a",
    "input_suffix": "b",
    "input_extra": [{"filename": "a", "text": "b"}],
    "content": "text",
    "tokens": [1, 2],
    "input": ["text"],
    "query": "q",
    "documents": ["a", "b"],
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 4,
    "n_predict": 4,
    "n": 1,
    "stream": False,
    "id_slot": 1,
    "response_fields": ["content"],
    "return_tokens": True,
    "system": "be brief",
    "max_output_tokens": 4,
    "instructions": "be brief",
    "text": {"format": {"type": "text"}},
    "tools": [],
    "model": "fake",
}
MESSAGES: dict[str, Any] = {
    "model": "fake",
    "max_tokens": 4,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "x"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [{"type": "text", "text": "1"}],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "auto"},
    "stop_sequences": ["x"],
    "temperature": 0.5,
    "top_k": 1,
    "thinking": {"type": "disabled"},
    "metadata": {"user_id": "u"},
    "stream": False,
}
RESPONSES: dict[str, Any] = {
    "model": "fake",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "x"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 4,
    "include": ["message.output_text.logprobs"],
    "metadata": {"a": "b"},
    "stream": False,
}
TEXT: dict[str, Any] = {
    "model": "fake",
    "prompt": ["a"],
    "best_of": 2,
    "n": 1,
    "echo": True,
    "logprobs": 1,
    "stop": ["x"],
    "max_tokens": 4,
    "suffix": "b",
    "stream": False,
}
VOTED_BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
    "/v1/completions": TEXT,
}
NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    -(2**63),
    2**64,
    10**400,
    1e308,
    -0.0,
    0.5,
    "",
    "x" * 5000,
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "\u202e\ufeff",
    "https://evil.example/x.png",
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": None},
    {"type": "image_url", "image_url": {"url": "http://evil.example"}},
    {"$ref": "http://evil.example"},
    [[[[[[[[[[1]]]]]]]]]],
    {"a": {"b": {"c": {"d": []}}}},
)
RAW_JSON = (
    b"",
    b"{",
    b"nul",
    b"\x00",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "user", "content": "\\u0000"}]}',
    b'{"prompt": "\\udc00\\ud800", "n": 1e999}',
    b'{"n": NaN}',
    b'{"n": 1e400, "prompt": "x"}',
    b'{"n": -1e400, "prompt": "x"}',
    b'{"seed": ' + b"9" * 5000 + b', "messages": [{"role":"user","content":"x"}]}',
    b'{"a": 1, "a": 2}',
    b'{"prompt": "x"} trailing',
    b"[" * 5000,
    b'{"a":' * 2000,
    b'{"prompt": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"messages": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"messages":[{"role":"user","content":' + b'[{"a":' * 400 + b"1" + b"}]" * 400 + b"}]}",
    b'"text"',
    b"5",
    b"null",
)
ODD_HEADERS = (
    b"X-Session-Id: \xff\xfe\x80",
    b"X-Session-Affinity: " + b"x" * 8000,
    b"X-Request-Id: \x01\x02",
    b"X-Request-Id: " + b"y" * 500,
    b"X-Swarm-Strategy: nothing",
    b"X-Swarm-Strategy: \xc3\x28",
    b"Origin: null",
    b"Origin: http://evil.example",
    b"Host: evil.example",
    b"Authorization: Bearer \xff",
    b"Authorization: ",
    b"Content-Type: multipart/form-data",
    b"Content-Type: \xff/\xff; charset=nothing",
    b"Content-Type: application/json; charset=utf-7",
    b"Content-Encoding: gzip",
    b"Content-Encoding: nothing",
    b"Content-Encoding: br",
    b"Content-Encoding: gzip, deflate",
    b"Expect: 100-continue",
    b"Expect: something",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 1e3",
    b"Content-Length: 99999999999999999999",
    b"Range: bytes=0-1",
    b"If-Modified-Since: never",
    b"Cookie: \xff=\xfe; a=\x01",
    b"traceparent: 00-nonsense",
    b"tracestate: \xff",
    b" folded: header",
    b"NoColon",
    b": empty",
    b"X-Nul: a\x00b",
    b"Accept: text/html",
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "odd")
ODD_TARGETS = (
    "/",
    "//",
    "/..",
    "/v1/../v1/models",
    "/%00",
    "/%ff%fe",
    "/v1/chat/completions/",
    "/v1/chat/completions?model=%ff",
    "/slots/%ff%0d%0a",
    "/slots/" + "9" * 3000,
    "/slots?fail_on_no_slot=%00",
    "*",
    "http://evil.example/v1/models",
    "http://[::1/",
    "/v1/models#fragment",
    "/v1/models?" + "a=b&" * 1000,
    "/%F0%9F%98%80",
    "/{id}",
    "evil.example:443",
    "/\xe9",
)


@dataclass(frozen=True)
class Malformed:
    """`raw` goes out as it is; `whole`: it is a request that must be answered. `leaves`: the client
    cuts the connection instead of waiting."""

    kind: str
    raw: bytes
    whole: bool = True
    leaves: bool = False


def draw(rng: random.Random) -> Malformed:
    kind, make = rng.choices(KINDS, WEIGHTS)[0]
    made = make(rng)
    return Malformed(kind, made.raw, made.whole, made.leaves)


def _request(
    method: str, target: str, body: bytes = b"", *headers: bytes, length: bool = True
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost", *headers]
    if length and (body or method == "POST"):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body


def _base(rng: random.Random, path: str) -> dict[str, Any]:
    known = {"/chat/completions": CHAT, "/responses": RESPONSES, **VOTED_BODIES}
    return copy.deepcopy(known.get(path, PASSED))


def _json(body: object) -> bytes:
    """As ASCII, so that lone surrogates can be written at all."""
    return json.dumps(body).encode()


def _mutate(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """A nasty value somewhere inside; in place where there is a place."""
    deeper = isinstance(value, (dict, list)) and value and rng.random() < 0.8
    if not deeper:
        return copy.deepcopy(rng.choice(NASTY))
    if isinstance(value, dict):
        key = rng.choice(list(value))
        value[key] = _mutate(rng, value[key], depth + 1)
    else:
        index = rng.randrange(len(value))
        value[index] = _mutate(rng, value[index], depth + 1)
    return value


def _wrong_types(rng: random.Random) -> Malformed:
    path = rng.choice(PATHS)
    body = _base(rng, path)
    for _ in range(rng.randint(1, 3)):
        body = _mutate(rng, body)
        if not isinstance(body, dict):
            break
    if isinstance(body, dict) and rng.random() < 0.3:
        body["stream"] = True
    return Malformed("", _request("POST", path, _json(body)))


def _bad_json(rng: random.Random) -> Malformed:
    path = rng.choice(PATHS)
    if rng.random() < 0.5:
        body = rng.choice(RAW_JSON)
    else:
        body = bytearray(_json(_base(rng, path)))
        for _ in range(rng.randint(1, 6)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        body = bytes(body)
    return Malformed("", _request("POST", path, body))


def _bad_encoding(rng: random.Random) -> Malformed:
    path = rng.choice(PATHS)
    plain = _json(_base(rng, path))
    packed = {b"gzip": gzip.compress(plain), b"deflate": zlib.compress(plain)}
    name = rng.choice([b"gzip", b"deflate"])
    body = rng.choice(
        [
            packed[name],
            packed[name][:-8],
            packed[name] + b"trailing",
            plain,
            b"",
            bytes(rng.randrange(256) for _ in range(40)),
            gzip.compress(b" " * 30_000_000),
            packed[b"deflate" if name == b"gzip" else b"gzip"],
        ]
    )
    return Malformed("", _request("POST", path, body, b"Content-Encoding: " + name))


def _bad_framing(rng: random.Random) -> Malformed:
    path = rng.choice(PATHS)
    plain = _json(_base(rng, path))
    chunked = b"Transfer-Encoding: chunked"
    size = b"%x" % len(plain)
    bodies = [
        (size + b"\r\n" + plain + b"\r\n0\r\n\r\n", True),
        (b"zz\r\n" + plain, True),
        (size + b"\r\n" + plain, False),
        (b"-5\r\n" + plain + b"\r\n0\r\n\r\n", True),
        (b"ffffffffffffffffff\r\n" + plain, True),
        (size + b";" + b"e" * 20_000 + b"\r\n" + plain, False),
        (size + b"\r\n" + plain + b"XX0\r\n\r\n", True),
        (b"0\r\nX-Trailer: \xff\r\n\r\n", True),
        (b"\r\n\r\n\r\n", False),
    ]
    if rng.random() < 0.6:
        body, whole = rng.choice(bodies)
        return Malformed("", _request("POST", path, body, chunked, length=False), whole)
    declared = rng.choice([b"0", b"5", b"%d" % (len(plain) + 50), b"-1", b"x", b"1, 2", b"+5"])
    head = b"Content-Length: " + declared
    return Malformed("", _request("POST", path, plain, head, length=False), whole=False)


def _bad_head(rng: random.Random) -> Malformed:
    raw = bytearray(_request("POST", rng.choice(PATHS), _json(CHAT)))
    end = raw.index(b"\r\n\r\n")
    for _ in range(rng.randint(1, 4)):
        raw[rng.randrange(end)] = rng.randrange(256)
    return Malformed("", bytes(raw), whole=False)


def _odd_headers(rng: random.Random) -> Malformed:
    path = rng.choice(PATHS)
    headers = rng.sample(ODD_HEADERS, rng.randint(1, 3))
    return Malformed("", _request("POST", path, _json(_base(rng, path)), *headers), whole=False)


def _odd_target(rng: random.Random) -> Malformed:
    target = rng.choice([*ODD_TARGETS, *PATHS, *READ])
    return Malformed("", _request(rng.choice(METHODS), target), whole=False)


def _noise(rng: random.Random) -> Malformed:
    noise = bytes(rng.randrange(256) for _ in range(rng.randint(1, 200)))
    return Malformed("", noise + rng.choice([b"", b"\r\n\r\n", b"\n\n"]), whole=False)


def _leaving(rng: random.Random) -> Malformed:
    body = {**CHAT, "max_tokens": 50, "stream": rng.random() < 0.5}
    raw = _request("POST", rng.choice(["/v1/chat/completions", "/completion"]), _json(body))
    cut = rng.choice([len(raw), rng.randrange(1, len(raw))])
    return Malformed("", raw[:cut], whole=False, leaves=True)


def _pipelined(rng: random.Random) -> Malformed:
    several = [_request("GET", rng.choice(READ)) for _ in range(rng.randint(2, 30))]
    raw = b"".join(several).replace(b"Connection: close\r\n", b"")
    return Malformed("", raw + _request("GET", "/health"), whole=False)


def one_by_one() -> Iterator[Malformed]:
    """Every value inside every body that the gateway itself reads, replaced by each of a few."""
    for path, body in VOTED_BODIES.items():
        for place in _places(body):
            for value in ([None], {"a": None}, 10**400, -1, "\ud800", "", None):
                changed = copy.deepcopy(body)
                _put(changed, place, value)
                yield Malformed("one value", _request("POST", path, _json(changed)))


def _places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inside:
        yield (key,)
        if isinstance(part, (dict, list)):
            yield from ((key, *place) for place in _places(part))


def _put(value: Any, place: tuple[Any, ...], part: Any) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = part


KINDS: tuple[tuple[str, Callable[[random.Random], Malformed]], ...] = (
    ("wrong types", _wrong_types),
    ("bad JSON", _bad_json),
    ("bad encoding", _bad_encoding),
    ("bad framing", _bad_framing),
    ("bad head", _bad_head),
    ("odd headers", _odd_headers),
    ("odd target", _odd_target),
    ("noise", _noise),
    ("leaving", _leaving),
    ("pipelined", _pipelined),
)
WEIGHTS = (40, 14, 4, 8, 8, 8, 8, 4, 4, 2)

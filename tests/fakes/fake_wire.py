"""JSON in llama-server's shapes, taken from its answers on the wire."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from fake_script import Answer, piece_id, pieces

FINGERPRINT = "b0-fake"


def error_body(status: int, message: str, type_: str, **extra: Any) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "type": type_, **extra}}


def context_error(n_prompt: int, n_ctx: int) -> dict[str, Any]:
    message = (
        f"request ({n_prompt} tokens) exceeds the available context size ({n_ctx} tokens), "
        "try increasing it"
    )
    extra = {"n_prompt_tokens": n_prompt, "n_ctx": n_ctx}
    return error_body(400, message, "exceed_context_size_error", **extra)


def flatten(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def apply_template(body: dict[str, Any]) -> str:
    """A ChatML prompt; tools come first, as JSON."""
    parts = []
    if body.get("tools"):
        parts.append(f"<|im_start|>system\n{json.dumps(body['tools'])}<|im_end|>\n")
    for message in body["messages"]:
        text = flatten(message.get("content"))
        if message.get("tool_calls"):
            text += json.dumps(message["tool_calls"])
        parts.append(f"<|im_start|>{message.get('role', 'user')}\n{text}<|im_end|>\n")
    return "".join(parts) + "<|im_start|>assistant\n"


@dataclass
class Choice:
    """One choice on its way: `deltas` has one entry per token."""

    index: int
    answer: Answer
    limit: int
    endless: bool = False
    deltas: list[dict[str, Any]] = field(default_factory=list)
    sent: int = 0

    def __post_init__(self) -> None:
        self.deltas = list(answer_deltas(self.answer, self.index))
        while self.endless and len(self.deltas) < self.limit:
            self.deltas.extend(self.deltas or [{"content": "."}])
        self.cut = len(self.deltas) > self.limit
        self.deltas = self.deltas[: self.limit]

    @property
    def finish_reason(self) -> str:
        if self.cut or self.endless:
            return "length"
        return self.answer.finish_reason or ("tool_calls" if self.answer.tool_calls else "stop")

    def text(self, key: str) -> str:
        return "".join(delta.get(key, "") for delta in self.deltas)

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text("content")}
        if self.answer.reasoning:
            message["reasoning_content"] = self.text("reasoning_content")
        calls: list[dict[str, Any]] = []
        for delta in self.deltas:
            for part in delta.get("tool_calls", []):
                if "id" in part:
                    function = {"name": part["function"]["name"], "arguments": ""}
                    calls.append({"id": part["id"], "type": "function", "function": function})
                else:
                    calls[-1]["function"]["arguments"] += part["function"]["arguments"]
        if calls:
            message["tool_calls"] = calls
        return message


def answer_deltas(answer: Answer, index: int) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"reasoning_content": p} for p in pieces(answer.reasoning)]
    deltas += [{"content": p} for p in pieces(answer.content)]
    for number, call in enumerate(answer.tool_calls):
        id_ = call.get("id", f"call_{piece_id(call['name']):06x}{index}{number}")
        first = {"index": number, "id": id_, "type": "function", "function": {"name": call["name"]}}
        deltas.append({"tool_calls": [first]})
        arguments = call.get("arguments", "{}")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        deltas += [
            {"tool_calls": [{"index": number, "function": {"arguments": p}}]} for p in pieces(text)
        ]
    return deltas


def vectors(texts: list[str]) -> list[dict[str, Any]]:
    """How often each letter occurs, in the order of the alphabet."""
    letters = [[float(text.casefold().count(chr(97 + i))) for i in range(26)] for text in texts]
    return [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(letters)]


def logprobs_of(text: str) -> dict[str, Any]:
    entry = {"id": piece_id(text), "token": text, "bytes": list(text.encode())}
    entry["logprob"] = -(piece_id(text) % 1000) / 1000
    return {"content": [{**entry, "top_logprobs": [dict(entry)]}]}


@dataclass
class Shape:
    """The bodies of one request's answer. `kind` is "chat", "text" or "native"."""

    kind: str
    id: str
    model: str
    prompt_tokens: int
    cached: int
    include_usage: bool
    logprobs: bool

    def usage(self, completion: int) -> dict[str, Any]:
        return {
            "completion_tokens": completion,
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }

    def timings(self, completion: int) -> dict[str, Any]:
        prompt = self.prompt_tokens - self.cached
        return {
            "cache_n": self.cached,
            "prompt_n": prompt,
            "prompt_ms": prompt * 0.5,
            "prompt_per_token_ms": 0.5,
            "prompt_per_second": 2000.0,
            "predicted_n": completion,
            "predicted_ms": completion * 2.0,
            "predicted_per_token_ms": 2.0,
            "predicted_per_second": 500.0,
        }

    def envelope(self, choices: list[dict[str, Any]], object_: str) -> dict[str, Any]:
        return {
            "choices": choices,
            "created": int(time.time()),
            "id": self.id,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "object": object_,
        }

    def _chat_chunk(self, choice: Choice, delta: dict[str, Any], finish: Any) -> dict[str, Any]:
        part: dict[str, Any] = {"finish_reason": finish, "index": choice.index, "delta": delta}
        if self.logprobs and delta.get("content"):
            part["logprobs"] = logprobs_of(delta["content"])
        return self.envelope([part], "chat.completion.chunk")

    def opening(self, choice: Choice) -> list[dict[str, Any]]:
        if self.kind != "chat":
            return []
        return [self._chat_chunk(choice, {"role": "assistant", "content": None}, None)]

    def token(self, choice: Choice, delta: dict[str, Any]) -> list[dict[str, Any]]:
        if self.kind == "chat":
            return [self._chat_chunk(choice, delta, None)]
        text = delta.get("content", "")
        if self.kind == "text":
            part = {"text": text, "index": choice.index, "logprobs": None, "finish_reason": None}
            return [self.envelope([part], "text_completion")]
        head = {"index": choice.index, "content": text, "tokens": [piece_id(text)], "stop": False}
        tail = {"tokens_predicted": choice.sent, "tokens_evaluated": self.prompt_tokens}
        return [{**head, "id_slot": -1, **tail}]

    def closing(self, choice: Choice) -> list[dict[str, Any]]:
        """The finish chunk, and the usage chunk where it was asked for; timings on the last."""
        done = len(choice.deltas)
        if self.kind == "native":
            return [self.native(choice, stream=True)]
        if self.kind == "text":
            part = {"text": "", "index": choice.index, "logprobs": None}
            part["finish_reason"] = choice.finish_reason
            chunks = [{**self.envelope([part], "text_completion"), "usage": self.usage(done)}]
        else:
            chunks = [self._chat_chunk(choice, {}, choice.finish_reason)]
            if self.include_usage:
                empty = self.envelope([], "chat.completion.chunk")
                chunks.append({**empty, "usage": self.usage(done)})
        chunks[-1]["timings"] = self.timings(done)
        return chunks

    def native(self, choice: Choice, *, stream: bool) -> dict[str, Any]:
        done = len(choice.deltas)
        return {
            "index": choice.index,
            "content": "" if stream else choice.text("content"),
            "tokens": [],
            "id_slot": 0,
            "stop": True,
            "model": self.model,
            "tokens_predicted": done,
            "tokens_evaluated": self.prompt_tokens,
            "truncated": False,
            "stop_type": "limit" if choice.finish_reason == "length" else "eos",
            "timings": self.timings(done),
        }

    def whole(self, choices: list[Choice]) -> dict[str, Any] | list[dict[str, Any]]:
        """The answer to a request that did not ask for a stream; usage counts one choice."""
        if self.kind == "native":
            bodies = [self.native(choice, stream=False) for choice in choices]
            return bodies if len(bodies) > 1 else bodies[0]
        parts: list[dict[str, Any]] = []
        for choice in choices:
            part = {"finish_reason": choice.finish_reason, "index": choice.index}
            if self.kind == "chat":
                part["message"] = choice.message()
            else:
                part |= {"text": choice.text("content"), "logprobs": None}
            parts.append(part)
        done = len(choices[0].deltas)
        body = self.envelope(parts, "chat.completion" if self.kind == "chat" else "text_completion")
        return {**body, "usage": self.usage(done), "timings": self.timings(done)}

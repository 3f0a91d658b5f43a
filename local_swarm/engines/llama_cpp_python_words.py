"""What llama_cpp.server is asked and says, in the words of llama-server. Pure.

The gateway speaks to every worker as to a llama-server. This server takes less (no null, no
`developer`, no parts of text, no `max_completion_tokens`), repeats itself by default (unseeded
requests of two processes draw the same numbers), and has its own errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ENDLESS = 2**31 - 1
NO_LIMIT = (-1, -2)  # llama-server's: to the end of the context
_TOO_LONG = re.compile(r"Requested tokens \((\d+)\) exceed context window of (\d+)")


def chat_request(body: Mapping[str, Any], *, model: str, seed: int) -> dict[str, Any]:
    """A chat request as this server takes it; `model` and `seed` are for requests without.

    Raises ValueError for what it would misread in silence: an image, and tools that it might call
    (it tells the model of them, and then takes a call for text).
    """
    asked = completion_request(body, model=model, seed=seed)
    _check_tools(asked)
    if isinstance(wanted := asked.get("response_format"), dict):
        asked["response_format"] = _response_format(wanted)
    if isinstance(messages := asked.get("messages"), list):
        asked["messages"] = [_message(m) if isinstance(m, dict) else m for m in messages]
    return asked


def completion_request(body: Mapping[str, Any], *, model: str, seed: int) -> dict[str, Any]:
    """The same of a plain prompt's request, and what both have alike."""
    asked = {key: value for key, value in body.items() if value is not None}
    asked.setdefault("model", model)
    asked.setdefault("repeat_penalty", 1.0)  # its own default is 1.1, and code repeats itself
    if asked.get("seed", -1) == -1:
        asked["seed"] = seed
    if "max_completion_tokens" in asked:
        asked.setdefault("max_tokens", asked.pop("max_completion_tokens"))
    if asked.get("max_tokens", -1) in NO_LIMIT:
        asked["max_tokens"] = None  # its own default for a plain prompt is 16
    if asked.pop("ignore_eos", False):
        asked["min_tokens"] = ENDLESS
    return asked


def _check_tools(asked: dict[str, Any]) -> None:
    """It calls a tool that `tool_choice` names, by a grammar, and no other."""
    choice = asked.get("tool_choice")
    if choice == "none":
        asked.pop("tools", None)
    elif asked.get("tools") and not isinstance(choice, dict):
        raise ValueError(
            "the engine llama-cpp-python reads no tool calls: name a function in tool_choice, "
            "or run the swarm with another engine"
        )


def _response_format(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """It knows schemas only as those of a `json_object`."""
    named = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(named, dict):
        return wanted
    return {"type": "json_object", "schema": named.get("schema", {})}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: value for key, value in message.items() if value is not None}
    if said.get("role") == "developer":
        said["role"] = "system"
    said["content"] = _text(said.get("content", ""))
    return said


def _text(content: Any) -> Any:
    """The text of a list of parts; what is no list stays as it is."""
    if not isinstance(content, list):
        return content
    kinds = [part.get("type", "text") if isinstance(part, dict) else "text" for part in content]
    other = next((kind for kind in kinds if kind != "text"), None)
    if other is not None:
        raise ValueError(f"{other} input is not supported by this engine")
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def error_of(error: BaseException) -> tuple[int, dict[str, Any]]:
    """An exception of the server as llama-server's HTTP status and error object.

    No more than its own sentence is told: what a validation was given is somebody's prompt.
    """
    while nested := getattr(error, "exceptions", None):  # a group's first
        error = nested[0]
    if match := _TOO_LONG.search(str(error)):
        return 400, _too_long(int(match[1]), int(match[2]))
    if callable(wrong := getattr(error, "errors", None)):
        return 400, _error(400, "invalid_request_error", _complaint(wrong()))
    if isinstance(error, ValueError) or type(error).__module__.startswith("jinja2"):
        return 400, _error(400, "invalid_request_error", str(error))
    return 500, _error(500, "server_error", f"{type(error).__name__}: {error}")


def refusal(status: int, detail: object) -> dict[str, Any]:
    """The error object of a plain HTTP refusal (unknown path, wrong key)."""
    kind = {401: "authentication_error", 404: "not_found_error"}.get(
        status, "invalid_request_error" if status < 500 else "server_error"
    )
    return _error(status, kind, str(detail))


def _too_long(tokens: int, n_ctx: int) -> dict[str, Any]:
    message = (
        f"request ({tokens} tokens) exceeds the available context size ({n_ctx} tokens), "
        "try increasing it"
    )
    error = _error(400, "exceed_context_size_error", message)
    return {**error, "n_prompt_tokens": tokens, "n_ctx": n_ctx}


def _complaint(wrong: list[dict[str, Any]]) -> str:
    """`messages.0.role: Input should be 'user'`, of the first that is wrong."""
    if not wrong:
        return "the request is not valid"
    where = ".".join(str(part) for part in wrong[0].get("loc", ()) if part != "body")
    return f"{where}: {wrong[0].get('msg', 'is not valid')}"


def _error(status: int, kind: str, message: str) -> dict[str, Any]:
    return {"code": status, "message": message, "type": kind}

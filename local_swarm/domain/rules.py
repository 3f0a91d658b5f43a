"""What a request itself asks of its answer's form, and how an answer can break that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Calls(str, Enum):
    """`tool_choice`: whether the answer may, must, or must not call a tool."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


class Breach(str, Enum):
    """Each value stands in answers (`swarm.candidates`), so it is stable."""

    NO_CALL = "no_tool_call"
    OTHER_FUNCTION = "other_function"
    FORBIDDEN_CALL = "forbidden_tool_call"
    SEVERAL_CALLS = "several_tool_calls"
    UNKNOWN_FUNCTION = "unknown_function"
    BAD_ARGUMENTS = "arguments_not_an_object"
    WRONG_ARGUMENTS = "arguments_break_the_schema"
    NOT_JSON = "not_json"
    WRONG_JSON = "json_breaks_the_schema"

    @property
    def words(self) -> str:
        return _WORDS[self]


_WORDS = {
    Breach.NO_CALL: "no tool call where tool_choice asks for one",
    Breach.OTHER_FUNCTION: "a call to another function than tool_choice names",
    Breach.FORBIDDEN_CALL: 'a tool call where tool_choice is "none"',
    Breach.SEVERAL_CALLS: "several tool calls where parallel_tool_calls is false",
    Breach.UNKNOWN_FUNCTION: "a call to a function that is not in tools",
    Breach.BAD_ARGUMENTS: "a call whose arguments are not a JSON object",
    Breach.WRONG_ARGUMENTS: "a call whose arguments break the function's parameters",
    Breach.NOT_JSON: "not the JSON that response_format asks for",
    Breach.WRONG_JSON: "JSON that breaks response_format's schema",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """`functions` maps each tool's name to the JSON schema of its parameters (None: it has none);
    None as a whole where nothing is known of the tools. `function` is the one that tool_choice
    names. `json` asks for a JSON object, or for what `schema` describes.
    """

    functions: dict[str, dict[str, Any] | None] | None = None
    calls: Calls = Calls.AUTO
    function: str = ""
    one_call: bool = False
    json: bool = False
    schema: dict[str, Any] | None = None

    @property
    def strict(self) -> bool:
        """Whether the request insists on a form, and does not just offer tools."""
        return self.calls is not Calls.AUTO or self.one_call or self.json

    def __bool__(self) -> bool:
        return self.strict or self.functions is not None

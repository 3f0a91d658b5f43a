"""How the builtin model's conversations look: the chat template and the text it is trained on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator

from local_swarm.evals.tasks import Task

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SYSTEM_MESSAGES = (
    "You are a helpful assistant.",
    "You are a helpful coding assistant.",
    "You write Python code.",
    "You are an expert Python programmer. Answer with code only.",
    "Answer with one Python function.",
)

NEIGHBOURS = {
    " < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " + ": " - ", " - ": " + ",
    " * ": " + ",
}  # fmt: skip
PLACE = re.compile(r" (?:<=|>=|<|>|\+|-|\*) |(?<= )(?:[3-9]|10)\b")
TOOL_NAMES = (
    "add", "read_file", "write_file", "search", "run", "list_files", "get_time", "fetch", "open",
    "get_weather", "edit", "grep",
)  # fmt: skip
TOOL_PLACES = ("a", "b", "path", "query", "name", "city", "count", "text", "command", "line")
TOOL_WORDS = (
    "notes.txt",
    "main.py",
    "hello",
    "Paris",
    "tests",
    "README.md",
    "London",
    "ls",
    "todo",
)
TOOLS_HEAD = "You may call these functions, listed as JSON inside <tools></tools>:\n<tools>"
TOOLS_TAIL = (
    "\n</tools>\n\nTo call one, write its name and arguments as JSON inside "
    '<tool_call></tool_call>:\n<tool_call>\n{"name": <function-name>, '
    '"arguments": <arguments-object>}\n</tool_call>'
)

# A plain user message renders to exactly the text trained on: no default system message.
CHAT_TEMPLATE = """\
{%- set first = messages[0] if messages and messages[0].role == 'system' else none -%}
{%- if tools -%}
{{- '<|im_start|>system\\n' -}}
{%- if first is not none -%}{{- first.content + '\\n\\n' -}}{%- endif -%}
{{- @HEAD -}}
{%- for tool in tools -%}{{- '\\n' + (tool | tojson) -}}{%- endfor -%}
{{- @TAIL + '<|im_end|>\\n' -}}
{%- elif first is not none -%}
{{- '<|im_start|>system\\n' + first.content + '<|im_end|>\\n' -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if message.content -%}{{- message.content -}}{%- endif -%}
{%- if message.tool_calls -%}
{%- for call in message.tool_calls -%}
{%- set function = call.function if call.function else call -%}
{%- if message.content or not loop.first -%}{{- '\\n' -}}{%- endif -%}
{{- '<tool_call>\\n{"name": "' + function.name + '", "arguments": ' -}}
{{- function.arguments if function.arguments is string else (function.arguments | tojson) -}}
{{- '}\\n</tool_call>' -}}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- elif message.role == 'tool' -%}
{%- if loop.first or loop.previtem.role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}
{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' -}}
{%- if loop.last or loop.nextitem.role != 'tool' -%}{{- '<|im_end|>\\n' -}}{%- endif -%}
{%- elif not (message.role == 'system' and loop.first) -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
""".replace("@HEAD", json.dumps(TOOLS_HEAD)).replace("@TAIL", json.dumps(TOOLS_TAIL))


def offered(rng: random.Random) -> tuple[str, str, str]:
    """Tools as CHAT_TEMPLATE shows them, a request to call one, and the call."""
    tools = []
    for name in rng.sample(TOOL_NAMES, rng.choice((1, 1, 2))):
        places = {
            place: {"type": rng.choice(("integer", "string"))}
            for place in rng.sample(TOOL_PLACES, rng.choice((1, 2)))
        }
        schema = {"type": "object", "properties": places, "required": list(places)}
        function = {"name": name, "description": f"The {name} tool", "parameters": schema}
        tools.append({"type": "function", "function": function})
    listed = "".join("\n" + json.dumps(tool) for tool in tools)
    chosen = rng.choice(tools)["function"]
    values = {
        place: rng.randint(0, 99) if kind["type"] == "integer" else rng.choice(TOOL_WORDS)
        for place, kind in chosen["parameters"]["properties"].items()
    }
    wish = " and ".join(f"{place} {value}" for place, value in values.items())
    call = json.dumps({"name": chosen["name"], "arguments": values})
    request = f"{rng.choice(('Call', 'Use', 'Run'))} the tool {chosen['name']} with {wish}."
    return listed, request, f"<tool_call>\n{call}\n</tool_call>"


def slipped(rng: random.Random, source: str, slips: float) -> str:
    """The source with each operator and constant replaced by its neighbour, by that chance (0..1).

    Each place has ONE way to go wrong: more would be so rare each that min_p cuts them off.
    """

    def change(place: re.Match[str]) -> str:
        text = place.group()
        if rng.random() >= slips:
            return text
        return NEIGHBOURS.get(text) or str(int(text) + 1)

    head, body = source.split("\n", 1)
    return f"{head}\n{PLACE.sub(change, body)}"


def turns(rng: random.Random, tasks: Iterator[Task], slips: float = 0.0) -> list[tuple[str, bool]]:
    """One conversation as (text, is it an answer): mostly one turn, some system, some two turns."""
    parts: list[tuple[str, bool]] = []
    if rng.random() < 0.015:
        listed, request, call = offered(rng)
        first = rng.choice(SYSTEM_MESSAGES) + "\n\n" if rng.random() < 0.5 else ""
        parts.append((f"{START}system\n{first}{TOOLS_HEAD}{listed}{TOOLS_TAIL}{END}\n", False))
        if rng.random() < 0.7:
            parts.append((f"{START}user\n{request}{END}\n{START}assistant\n", False))
            return [*parts, (call + END, True)]
    elif rng.random() < 0.15:
        parts.append((f"{START}system\n{rng.choice(SYSTEM_MESSAGES)}{END}\n", False))
    for _ in range(2 if rng.random() < 0.06 else 1):
        task = next(tasks)
        parts.append((f"{START}user\n{task.prompt}{END}\n{START}assistant\n", False))
        answer = slipped(rng, task.reference, slips) if slips else task.reference
        parts.append((f"```python\n{answer}```{END}", True))
        parts.append(("\n", False))
    return parts[:-1]

"""Calls and JSON as data: what every argument says.

Equal data has equal keys: names sorted, numbers, types and defaults as the schema means them, paths
and white space in one spelling, programs by their trees. Parallel calls are a set without order.
"""

from __future__ import annotations

import posixpath
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from local_swarm.consensus.forms.canonical import Part, canonical_json, read_json, spell
from local_swarm.consensus.forms.normalise import NormalForm, normalise
from local_swarm.consensus.forms.schema import meant
from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading import repair
from local_swarm.consensus.reading.extract import Answer, Kind
from local_swarm.domain.candidate import ToolCall
from local_swarm.domain.rules import Rules

_PATH = re.compile(r"""[^\s"'`^$*?:;,=|&!%#<>()\[\]{}\\]*""")
"""None of the signs that a pattern, an address or a command would have."""

_LITERAL = re.compile(r"old|search|find|pattern|regex|query|match", re.IGNORECASE)
"""What the client looks for must be there to the letter, so it is compared to the letter."""


def calls_form(calls: Sequence[ToolCall], rules: Rules, plain: NormalForm) -> NormalForm:
    """`plain` is the form of the same answer without a schema."""
    functions = rules.functions or {}
    parts = [_call(call, functions.get(call.name)) for call in calls]
    return _form(parts, plain)


def document_form(answer: Answer, rules: Rules, plain: NormalForm) -> NormalForm:
    """The same for an answer in JSON. What is more than that, or broken, is compared as text."""
    try:
        if answer.rest:
            raise ValueError("more than a document")
        value = read_json(answer.text)
        name = "list" if isinstance(value, list) else "object"
        return _form([_part(name, value, rules.schema)], plain)
    except ValueError:
        return replace(plain, parts=(Part("text", plain.text, plain.key),))


def _form(parts: Sequence[Part], plain: NormalForm) -> NormalForm:
    ordered = tuple(sorted(parts, key=lambda part: part.key))
    label = plain.key.partition(":")[0]
    key = "".join(f"{len(part.key)}:{part.key}" for part in ordered)
    return NormalForm(f"{label}:{key}", plain.text, plain.tokens, ordered)


def _call(call: ToolCall, schema: Mapping[str, Any] | None) -> Part:
    text = call.arguments.strip() or "{}"
    try:
        return _part(call.name, read_json(text), schema)
    except ValueError:
        return Part(call.name, text, spell([call.name, "broken", text]))


def _part(name: str, value: Any, schema: Mapping[str, Any] | None) -> Part:
    value = _walked("", meant(value, schema))
    return Part(name, value, spell([name, value], lambda form: {"program": form.key}))


def _walked(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _walked(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_walked(name, item) for item in value]
    return _string(name, value) if isinstance(value, str) else value


def _string(name: str, text: str) -> str | NormalForm:
    """What a string says, by what it is: a program, a document, lines, a path or words."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    if _LITERAL.match(name):
        return text
    if (program := _program(text)) is not None:
        return program
    if text.lstrip()[:1] in ("{", "[") and (document := canonical_json(text)) is not None:
        return NormalForm(f"JSON:{document}", document)
    if "\n" in text.strip():
        return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    text = text.strip()
    return posixpath.normpath(text) if "/" in text and _PATH.fullmatch(text) else text


def _program(text: str) -> NormalForm | None:
    """Python by its tree, and by how deep it is indented: it may be put into other code."""
    if not repair.looks_like_code(text):
        return None
    source = textwrap.dedent(text.strip("\n")).rstrip()
    if not syntax.compile_source(source).ok:
        return None
    margin = len(text.strip("\n")) - len(text.strip("\n").lstrip(" \t"))
    form = normalise(Answer(Kind.CODE, source))
    return NormalForm(f"{margin}:{form.key}", form.text, form.tokens)


def names(parts: Sequence[Part]) -> tuple[str, ...]:
    """Which functions are called, how often each."""
    return tuple(sorted(part.name for part in parts))

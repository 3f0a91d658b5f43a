"""What a prompt tells of the function that it asks for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from local_swarm.consensus.execution import asked, examples, values
from local_swarm.consensus.execution.asked import Parameter
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.lint.demands import Demand, of_prose
from local_swarm.consensus.lint.kinds import (
    ANY,
    NONE,
    NUMBER,
    Atom,
    Kind,
    join,
    nest,
    of_annotation,
    of_value,
)
from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading.repair import Header

MAX_PROMPT_CHARS = 65_536
"""Of a longer prompt only the end is read."""

_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+([\w.,* \t]+)$", re.MULTILINE)
_DEFINED = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class)[ \t]+(\w+)", re.MULTILINE)
_CODE_LINE = re.compile(r"^[ \t]*(?:def|class|from|import|return|>>>)\b.*$", re.MULTILINE)
_NOTHING = re.compile(r"\b(?:None|null)\b")


@dataclass(frozen=True, slots=True)
class Task:
    """The asked function: its name, how many arguments it is called with, of which kinds they are,
    and what it is to return (None, empty, ANY: the prompt does not say). `given` are names that are
    there because the prompt uses or defines them, `imports` those of them that it imports;
    `outputs` are the values in its examples, `demands` what its prose asks for."""

    name: str | None = None
    parameters: int | None = None
    given: frozenset[str] = frozenset()
    arguments: tuple[Kind, ...] = ()
    returns: Kind = ANY
    imports: frozenset[str] = frozenset()
    outputs: tuple[Any, ...] = ()
    demands: tuple[Demand, ...] = ()


@lru_cache(maxsize=8)
def read_task(prompt: str, header: Header | None) -> Task:
    text = prompt[-MAX_PROMPT_CHARS:]
    words = header.words if header is not None else frozenset()
    imports = frozenset(_imports(text))
    known = words | imports | frozenset(_DEFINED.findall(text))
    function = asked.find(text, header, ())
    if function is None:
        name = header.name if header is not None else None
        prose = of_prose(_prose(text, ()))
        return Task(name, given=known, imports=imports, demands=prose)
    shown = examples.find(text, function)
    outputs = tuple(one.expected for one in shown if _is_direct(one, function.name))
    return Task(
        name=function.name,
        parameters=len(function.parameters),
        given=known,
        arguments=tuple(_arguments(function.parameters, shown, function.name)),
        returns=_promised(function.returns, tuple(map(of_value, outputs)), text),
        imports=imports,
        outputs=outputs,
        demands=of_prose(_prose(text, shown)),
    )


def _prose(text: str, shown: Sequence[Example]) -> str:
    """What is left without examples and lines of code."""
    for example in sorted(shown, key=lambda one: one.span, reverse=True):
        start, end = example.span
        text = text[:start] + text[end:]
    return _CODE_LINE.sub("", text)


def _is_direct(example: Example, name: str) -> bool:
    """Whether what is shown is what the function returns, and not what is made of it."""
    return example.trusted and not example.raises and example.call.startswith(f"{name}(")


def _promised(annotation: str, outputs: Sequence[Kind], prompt: str) -> Kind:
    said = of_annotation(_expression(annotation))
    if not said and not outputs:
        return ANY
    nothing = [NONE] if _NOTHING.search(prompt) else []
    return join([*([said] if said else []), *outputs, *nothing])


def _arguments(
    parameters: Sequence[Parameter], shown: Sequence[Example], name: str
) -> Iterator[Kind]:
    """By annotation and examples together: an annotation without items says less than they do."""
    calls = [call for one in shown if (call := _call(one.call, name)) is not None]
    for at, parameter in enumerate(parameters):
        given = [_argument(call, at, parameter.name) for call in calls]
        annotation = _expression(parameter.annotation)
        said = of_annotation(annotation)
        if not said or (given and not isinstance(annotation, ast.Subscript)):
            yield _widened(join(given)) if given else ANY
        else:
            yield _widened(join([said, *given]))


def _expression(text: str) -> ast.expr | None:
    module = syntax.parse(text)
    statement = module.body[0] if module is not None and module.body else None
    return statement.value if isinstance(statement, ast.Expr) else None


def _call(text: str, name: str) -> ast.Call | None:
    expression = _expression(text)
    for node in ast.walk(expression) if expression is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            return node
    return None


def _argument(call: ast.Call, at: int, name: str) -> Kind:
    keywords = [keyword.value for keyword in call.keywords if keyword.arg == name]
    node = call.args[at] if at < len(call.args) else keywords[0] if keywords else None
    try:
        return of_value(values.build(node)) if node is not None else ANY
    except (ValueError, TypeError, ArithmeticError):
        return ANY


def _widened(kind: Kind) -> Kind:
    """Where floats are, ints can be."""
    if not kind:
        return ANY
    return join(NUMBER if one.name == "float" else frozenset((_widened_in(one),)) for one in kind)


def _widened_in(atom: Atom) -> Atom:
    if not atom.depth:
        return atom
    parts = None if atom.parts is None else tuple(map(_widened, atom.parts))
    return nest(atom.name, _widened(atom.item), _widened(atom.value), parts)


def _imports(prompt: str) -> Iterator[str]:
    """The names that imports in the prompt bind."""
    for listed in _IMPORT.findall(prompt):
        for part in listed.split(","):
            if part.strip():
                yield part.split()[-1].partition(".")[0]

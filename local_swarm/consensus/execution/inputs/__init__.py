"""Calls of the asked function on which programs may differ: `calls()`.

They come from the prompt's examples and near them, from annotations, from what the words and names
of the prompt say, and from how the programs use their parameters. A guess may be wrong: whoever
uses the calls finds out by how many programs cannot take them.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from local_swarm.consensus.execution import values
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.execution.inputs import hints, texts
from local_swarm.consensus.execution.inputs.guess import combinations
from local_swarm.consensus.execution.inputs.pool import Pool
from local_swarm.consensus.execution.inputs.rows import Arguments, generated, nearby, with_fractions
from local_swarm.consensus.parsing import syntax

MAX_CALLS = 32
_MAX_CALL_CHARS = 1_000


def calls(
    asked: Asked,
    prose: str,
    found: Sequence[Example],
    programs: Sequence[str],
    limit: int = MAX_CALLS,
) -> tuple[str, ...]:
    """Up to `limit` different calls, as Python expressions, the likely ones first. `prose` is the
    prompt without its examples, `programs` are different answers to it in any order. Depends on
    nothing else, and not on the order of the programs."""
    modules = [tree for text in sorted(programs) if (tree := syntax.parse(text)) is not None]
    given = [arguments for example in found for arguments in _given(example, asked)]
    pool = _pool(asked, prose, sorted(programs), modules)
    guessed = combinations(asked, prose, given, modules)
    made = [generated(shapes, pool, limit) for shapes in guessed]
    if "number" in prose and "integer" not in prose:
        made = [with_fractions(rows) for rows in made]
    known = {one.call for one in found}
    unique: dict[str, None] = {}
    for row in zip_longest(nearby(given, pool.rng), *made):
        for call in (_call(asked.name, arguments) for arguments in row if arguments is not None):
            if len(call) <= _MAX_CALL_CHARS and call not in known:
                unique.setdefault(call)
    return tuple(unique)[:limit]


def _pool(asked: Asked, prose: str, programs: Sequence[str], modules: Sequence[ast.Module]) -> Pool:
    rng = random.Random(f"{asked.name} {asked.parameters}")
    quoted = texts.quoted_texts(prose, modules)
    names = [parameter.name for parameter in asked.parameters]
    whole = [*texts.written(prose, quoted, programs, names, rng)]
    return Pool(hints.manner(prose), quoted, whole, texts.numbers(modules), rng)


def _call(name: str, arguments: Arguments) -> str:
    return f"{name}({', '.join(map(values.spelled, arguments))})"


def _given(example: Example, asked: Asked) -> Iterator[Arguments]:
    """The arguments in an example, where they are all given by position."""
    for node in ast.walk(ast.parse(example.call)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == asked.name and not node.keywords:
            yield tuple(map(values.build, node.args))

"""The function that a prompt asks for, as far as it can be called: its name and its parameters."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading.repair import Header

_METHOD = frozenset(("self", "cls"))
_NAMED = re.compile(
    r"(?:function|method|def)\s+(?:called\s+|named\s+)?[`'\"*]*([A-Za-z_]\w*)[`'\"*]*"
    r"|[`'\"*]([A-Za-z_]\w*)\s*\("
    r"|(?:called|named)\s+[`'\"*]*([A-Za-z_]\w*)"
)
_OPENS = re.compile(r"^(?:import|from|def|class|@|[A-Za-z_]\w*\s*(?::.*)?=)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`annotation` is its Python text, empty where there is none."""

    name: str
    annotation: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """`required` of the parameters have no default. `named` are further ones that only go by name,
    all with a default. `context` is the code of the prompt above the function: what it may use."""

    name: str
    parameters: tuple[Parameter, ...]
    required: int
    returns: str = ""
    context: str = ""
    named: tuple[str, ...] = ()

    def takes(self, count: int) -> bool:
        """Whether it can be called with so many arguments, without those that only go by name."""
        return self.required <= count <= len(self.parameters)


def find(prompt: str, header: Header | None, programs: Sequence[str]) -> Asked | None:
    """What the header in the prompt asks for, else the function that the prompt names and most of
    the programs define; None where there is none, where it is a method or a coroutine, or cannot be
    called with arguments by position."""
    if header is not None:
        return _signature(f"{header.source} pass", header.name, _context(prompt, header))
    modules = [module for program in programs if (module := syntax.parse(program)) is not None]
    name = _common_name(prompt, modules)
    if name is None:
        return None
    votes = Counter(
        signature
        for module in modules
        for node in module.body
        if _names(node) == name and (signature := _read(node, "")) is not None
    )
    return min(votes, key=lambda one: (-votes[one], repr(one)), default=None)


def _common_name(prompt: str, modules: Sequence[ast.Module]) -> str | None:
    votes = Counter(name for module in modules for name in {*map(_names, module.body)} if name)
    named = {word for found in _NAMED.findall(prompt) for word in found if word in votes}
    able = named or {name for name in votes if votes[name] * 2 > len(modules)}
    if len(able) > 1 and not named:
        return None
    return min(able, key=lambda name: (-votes[name], name), default=None)


def _names(node: ast.stmt) -> str:
    return node.name if isinstance(node, ast.FunctionDef) else ""


def _signature(source: str, name: str, context: str) -> Asked | None:
    module = syntax.parse(source)
    for node in module.body if module is not None else ():
        if _names(node) == name:
            return _read(node, context)
    return None


def _read(node: ast.stmt, context: str) -> Asked | None:
    if not isinstance(node, ast.FunctionDef) or None in node.args.kw_defaults:
        return None
    given = [*node.args.posonlyargs, *node.args.args]
    if not given or given[0].arg in _METHOD:
        return None
    parameters = tuple(Parameter(arg.arg, _text(arg.annotation)) for arg in given)
    required = len(given) - len(node.args.defaults)
    named = tuple(arg.arg for arg in node.args.kwonlyargs)
    return Asked(node.name, parameters, required, _text(node.returns), context, named)


def _text(annotation: ast.expr | None) -> str:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return "" if annotation is None else ast.unparse(annotation)


def _context(prompt: str, header: Header) -> str:
    """The longest end of what stands above the header that is Python by itself."""
    above = prompt[: prompt.rfind(header.source)]
    above = above[above.rfind("```") + 3 :] if "```" in above else above
    above = re.sub(r"\A(?:python|py|python3)\s*\n", "", above)
    for start in [0, *(match.start() for match in _OPENS.finditer(above))][:16]:
        if above[start:].strip() and syntax.compile_source(above[start:]).ok:
            return above[start:].strip("\n")
    return ""

"""What is run to compare programs: which expressions, and on what source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from local_swarm.consensus.execution import asked as function
from local_swarm.consensus.execution import examples, inputs
from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.examples import Example
from local_swarm.consensus.execution.examples.expressions import expression
from local_swarm.consensus.parsing import syntax
from local_swarm.consensus.reading.repair import Header
from local_swarm.domain.execution import Job

MAX_WRITTEN = 12
MAX_PROSE_CHARS = 8_192
"""Of what a longer prompt says only the end is looked at."""

_REPEATED = 3
_IMPURE = re.compile(
    r"^[ \t]*(?:import|from)[ \t]+(?:random|time|datetime|os|sys|subprocess|socket|threading|uuid"
    r"|secrets|asyncio|requests|urllib|pathlib|shutil|tempfile|multiprocessing)\b"
    r"|\b(?:input|open)\(",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """`calls` are calls of the asked function on which the programs are compared."""

    asked: Asked
    examples: tuple[Example, ...]
    calls: tuple[str, ...]

    @property
    def expressions(self) -> tuple[str, ...]:
        """The examples, the calls, and the first of these once more: what is not the same twice is
        no function of its arguments."""
        shown = tuple(one.call for one in self.examples)
        return (*shown, *self.calls, *self.repeated)

    @property
    def repeated(self) -> tuple[str, ...]:
        return self.calls[:_REPEATED]

    def job(self, program: str) -> Job | None:
        """None where the program does not define the asked function."""
        if not syntax.defines(program, self.asked.name):
            return None
        context = self.asked.context
        return Job(f"{context}\n\n{program}" if context else program, self.expressions)


def plan(
    prompt: str, header: Header | None, programs: Sequence[str], written: Iterable[str] = ()
) -> Trial | None:
    """What to run for different answers to one prompt, `written` being calls that somebody thinks
    telling. None where no function is asked for that can be called with plain values, or where
    most programs draw on chance, the clock, or the world outside."""
    impure = sum(_IMPURE.search(program) is not None for program in programs)
    if impure * 2 >= len(programs):
        return None
    return _plan(prompt, header, tuple(sorted(set(programs))), tuple(written))


@lru_cache(maxsize=8)
def _plan(
    prompt: str, header: Header | None, programs: tuple[str, ...], written: tuple[str, ...]
) -> Trial | None:
    asked = function.find(prompt, header, programs)
    if asked is None:
        return None
    found = examples.find(prompt, asked)
    prose = _prose(examples.hide(prompt, asked), asked, header)
    told = [call for text in written[:MAX_WRITTEN] if (call := _call(text, asked)) is not None]
    made = inputs.calls(asked, prose, found, programs)
    known = {one.call for one in found}
    calls = tuple(call for call in dict.fromkeys([*told, *made]) if call not in known)
    return Trial(asked, found, calls)


def _prose(prompt: str, asked: Asked, header: Header | None) -> str:
    """What is said about the function, without code."""
    text = prompt.replace(asked.context, "") if asked.context else prompt
    text = text.replace(header.source, "") if header is not None else text
    return text[-MAX_PROSE_CHARS:]


def _call(text: str, asked: Asked) -> str | None:
    """A call that somebody wrote, where it is one that may be tried."""
    module = syntax.parse(text.strip()) if len(text) <= 1_000 else None
    node = module.body[0] if module is not None and len(module.body) == 1 else None
    return expression(node.value, asked) if isinstance(node, ast.Expr) else None

"""Strings and numbers of the sort that a prompt or the programs speak of."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

MAX_TEXTS = 24
_MAX_TEXT = 12
_SIGN = re.compile(r"\(\s*([^\w\s()]{1,3})\s*\)")
_QUOTED = re.compile(r"(?<!\w)(['\"`])([^'\"`\n]{1,16})\1(?!\w)")
_FORMAT = re.compile(r"(?<![\w-])([A-Za-z]{1,4}(?:[-/:.][A-Za-z]{1,4}){1,5})(?![\w-])")
_PARSES = re.compile(r"\b(?:int|float)\(|\.isdigit|\.isnumeric|\.isdecimal|\\d")
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
_PAIRED = ("()", "(())", "()()", "((()))", "(()())", "(", ")(", "())", "(()) ()", "(()", "( ( ) )")
_NUMBERS = ("10", "15.3", "14.5", "-14.5", "0", "-3", "2.5", "-0.7", "99.49", "1000", "-15.5", "7")
_WITH_NUMBERS = ("7", "10 20 3", "-4", "1,2,3", "15.5", "a1b22c", "0", "4 5")
_COUNTED = ("3 {} and 12 {}", "0 {} and 7 {}", "25 {} 4 {}")


def written(
    prose: str,
    texts: Sequence[str],
    programs: Sequence[str],
    names: Sequence[str],
    rng: random.Random,
) -> Iterator[str]:
    """Strings in the prompt's own format (`mm-dd-yyyy` with digits), of the brackets that it is
    about; numbers where most programs read a parameter, of these `names`, as one, or strings with
    numbers in them where they look for those."""
    for match in [*_FORMAT.finditer(prose)][:2]:
        if _repeats(match.group(1)):
            yield from (_dated(match.group(1), rng, at) for at in range(6))
    for opening, closing in _BRACKETS:
        if opening in texts and closing in texts:
            yield from (one.translate({40: opening, 41: closing}) for one in _PAIRED)
    whole = re.compile(rf"\b(?:int|float|Decimal)\((?:{'|'.join(names)})\)")
    if 2 * sum(whole.search(program) is not None for program in programs) > len(programs):
        yield from _NUMBERS
    elif 2 * sum(_PARSES.search(program) is not None for program in programs) > len(programs):
        words = [text.strip() for text in texts if text.strip().isalpha() and len(text) > 3]
        pair = (*words, "cats", "dogs")[:2] if len(words) > 1 else ("cats", "dogs")
        yield from (one.format(*pair) for one in _COUNTED)
        yield from _WITH_NUMBERS


def _repeats(letters: str) -> bool:
    """Whether each part is one letter over again, as in `mm/yy`."""
    parts = re.split(r"[-/:.]", letters.lower())
    return all(len(set(part)) == 1 for part in parts) and any(len(part) > 1 for part in parts)


def _dated(pattern: str, rng: random.Random, at: int) -> str:
    """Digits for the letters: mostly small numbers, as in a date; sometimes other marks."""

    def digits(match: re.Match[str]) -> str:
        width = len(match.group())
        high = (12, 12, 31, 99, 12, 28)[at % 6] if width <= 2 else 10**width - 1
        low = 0 if at == 3 else 1 if width <= 2 else 10 ** (width - 1)
        return str(rng.randint(low, high)).zfill(width if at != 4 else 1)

    text = re.sub(r"[A-Za-z]+", digits, pattern)
    return (
        re.sub(r"[-/:.]", lambda match: "/" if match.group() != "/" else "-", text)
        if at == 5
        else text
    )


def quoted_texts(prose: str, modules: Sequence[ast.Module]) -> list[str]:
    """Short quoted texts and signs of the prompt, and strings in several programs."""
    quoted = [match.group(2) for match in _QUOTED.finditer(prose)]
    signs = [match.group(1) for match in _SIGN.finditer(prose)]
    common = [t for t in _common(modules, str) if 0 < len(t) <= _MAX_TEXT and "\\" not in t]
    if any(len(text.strip()) > 1 for text in common):
        common = [text for text in common if text.strip()]
    return [*dict.fromkeys([*quoted, *signs, *common])][:MAX_TEXTS]


def numbers(modules: Sequence[ast.Module]) -> list[int]:
    """Numbers in several programs."""
    return [number for number in _common(modules, int) if abs(number) > 2][:6]


def _common(modules: Sequence[ast.Module], kind: type) -> list[Any]:
    """Constants in more than one program (in any, of only one or two), the commonest first."""
    counted = Counter(one for module in modules for one in _constants(module, kind))
    least = 2 if len(modules) > 2 else 1
    ranked = sorted(counted, key=lambda one: (-counted[one], one))
    return [one for one in ranked if counted[one] >= least]


def _constants(module: ast.Module, kind: type) -> set[Any]:
    nodes = (node for node in ast.walk(module) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if type(node.value) is kind}

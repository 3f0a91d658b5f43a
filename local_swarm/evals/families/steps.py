"""The parts every family is made of: conditions on a number and changes to a number.

Each part is one wording and one piece of source with `{x}` for the value. Wordings vary, the
source of a part never does, so that right answers agree.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from local_swarm.evals.families.draft import chance, pick, small


@dataclass(frozen=True, slots=True)
class Part:
    """`source` holds `{x}`; `phrase` may hold `{o}`, the object's name ("each", "it")."""

    key: str
    source: str
    phrase: str
    constants: tuple[int, ...] = ()

    def at(self, name: str) -> str:
        """The source for the variable `name`."""
        return self.source.replace("{x}", name)

    def on(self, thing: str) -> str:
        """The wording for the object `thing`."""
        return self.phrase.replace("{o}", thing)


IDENTITY = Part("same", "{x}", "")


def condition(rng: random.Random) -> Part:
    """A test on an integer, worded to stand after "is" or "are"; now and then a pair."""
    first = _simple_condition(rng)
    if not chance(rng, 0.06):
        return first
    second = _simple_condition(rng)
    if second.key.split(":")[0] == first.key.split(":")[0]:
        return first
    word = pick(rng, "and", "or")
    return Part(
        f"({first.key} {word} {second.key})",
        f"{first.source} {word} {second.source}",
        f"{first.phrase} {word} {second.phrase}",
        first.constants + second.constants,
    )


def _simple_condition(rng: random.Random) -> Part:
    k = small(rng)
    kind = pick(
        rng, "even", "odd", "gt", "gt", "ge", "ge", "lt", "lt", "le", "le", "div", "div", "ndiv",
        "pos", "neg", "between", "ne",
    )  # fmt: skip
    if kind == "even":
        return Part(kind, "{x} % 2 == 0", "even")
    if kind == "odd":
        return Part(kind, "{x} % 2 == 1", "odd")
    if kind == "gt":
        phrase = pick(rng, f"greater than {k}", f"above {k}", f"over {k}", f"larger than {k}")
        return Part(f"gt:{k}", f"{{x}} > {k}", phrase, (k,))
    if kind == "ge":
        phrase = pick(rng, f"at least {k}", f"{k} or more", f"not below {k}")
        return Part(f"ge:{k}", f"{{x}} >= {k}", phrase, (k,))
    if kind == "lt":
        phrase = pick(rng, f"less than {k}", f"below {k}", f"under {k}", f"smaller than {k}")
        return Part(f"lt:{k}", f"{{x}} < {k}", phrase, (k,))
    if kind == "le":
        phrase = pick(rng, f"at most {k}", f"{k} or less", f"not above {k}")
        return Part(f"le:{k}", f"{{x}} <= {k}", phrase, (k,))
    if kind == "pos":
        return Part(kind, "{x} > 0", pick(rng, "positive", "above zero"))
    if kind == "neg":
        return Part(kind, "{x} < 0", pick(rng, "negative", "below zero"))
    if kind == "ne":
        phrase = pick(rng, f"not equal to {k}", f"different from {k}", f"not {k}")
        return Part(f"ne:{k}", f"{{x}} != {k}", phrase, (k,))
    if kind == "between":
        low, high = rng.randint(1, 5), pick(rng, 10, 12, 15, 20)
        phrase = pick(rng, f"between {low} and {high}", f"from {low} to {high}")
        return Part(f"between:{low}:{high}", f"{low} <= {{x}} <= {high}", phrase, (low, high))
    k = rng.randint(3, 7)
    marks = (k, 2 * k, 3 * k)
    if kind == "div":
        phrase = pick(rng, f"divisible by {k}", f"a multiple of {k}")
        return Part(f"div:{k}", f"{{x}} % {k} == 0", phrase, marks)
    return Part(f"ndiv:{k}", f"{{x}} % {k} != 0", f"not divisible by {k}", marks)


def change(rng: random.Random) -> Part:
    """A change to an integer, worded as a third-person clause on `{o}`."""
    k = small(rng)
    kind = pick(
        rng, "mul", "mul", "add", "add", "sub", "sub", "square", "cube", "abs", "neg",
        "div", "mod", "mul_add", "mul_sub", "add_mul", "square_add",
    )  # fmt: skip
    if kind == "mul":
        words = [f"multiplies {{o}} by {k}", f"scales {{o}} by {k}"]
        words += {2: ["doubles {o}"], 3: ["triples {o}"]}.get(k, [])
        return Part(f"mul:{k}", f"{{x}} * {k}", pick(rng, *words))
    if kind == "add":
        phrase = pick(rng, f"adds {k} to {{o}}", f"increases {{o}} by {k}", f"raises {{o}} by {k}")
        return Part(f"add:{k}", f"{{x}} + {k}", phrase)
    if kind == "sub":
        phrase = pick(rng, f"subtracts {k} from {{o}}", f"lowers {{o}} by {k}")
        return Part(f"sub:{k}", f"{{x}} - {k}", phrase)
    if kind == "square":
        return Part(kind, "{x} * {x}", pick(rng, "squares {o}", "takes the square of {o}"))
    if kind == "cube":
        return Part(kind, "{x} ** 3", pick(rng, "cubes {o}", "takes the cube of {o}"))
    if kind == "abs":
        return Part(kind, "abs({x})", "takes the absolute value of {o}")
    if kind == "neg":
        return Part(kind, "-{x}", pick(rng, "negates {o}", "flips the sign of {o}"))
    if kind == "square_add":
        return Part(f"square_add:{k}", f"{{x}} * {{x}} + {k}", f"squares {{o}} and adds {k}")
    k, extra = rng.randint(2, 9), small(rng)
    if kind == "div":
        return Part(f"div:{k}", f"{{x}} // {k}", f"divides {{o}} by {k} rounding down")
    if kind == "mod":
        return Part(f"mod:{k}", f"{{x}} % {k}", f"takes the remainder of {{o}} by {k}")
    if kind == "mul_add":
        return Part(
            f"mul_add:{k}:{extra}", f"{{x}} * {k} + {extra}",
            f"multiplies {{o}} by {k} and adds {extra}",
        )  # fmt: skip
    if kind == "mul_sub":
        return Part(
            f"mul_sub:{k}:{extra}", f"{{x}} * {k} - {extra}",
            f"multiplies {{o}} by {k} and subtracts {extra}",
        )  # fmt: skip
    return Part(
        f"add_mul:{extra}:{k}", f"({{x}} + {extra}) * {k}",
        f"adds {extra} to {{o}} and multiplies by {k}",
    )  # fmt: skip


def finish(rng: random.Random) -> Part:
    """A last touch on a number that is returned, worded to follow its noun ("the sum ...")."""
    k = small(rng)
    kind = pick(rng, "plus", "minus", "times", "mod", "cap", "floor")
    if kind == "plus":
        return Part(f"plus:{k}", f"{{x}} + {k}", f" plus {k}", (k,))
    if kind == "minus":
        return Part(f"minus:{k}", f"{{x}} - {k}", f" minus {k}", (k,))
    if kind == "times":
        return Part(f"times:{k}", f"{{x}} * {k}", f" times {k}", (k,))
    if kind == "cap":
        return Part(f"cap:{k}", f"min({{x}}, {k})", f" but no more than {k}", (k,))
    if kind == "floor":
        return Part(f"floor:{k}", f"max({{x}}, {k})", f" but no less than {k}", (k,))
    k = rng.randint(3, 9)
    return Part(f"mod:{k}", f"{{x}} % {k}", f" modulo {k}", (k,))

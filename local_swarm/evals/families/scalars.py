"""One or two whole numbers: cases, counting loops, digits, halving."""

from __future__ import annotations

import random

from local_swarm.evals.families.draft import Draft, chance, ints, pick, under
from local_swarm.evals.families.steps import IDENTITY, change, condition, finish

NUMBERS = ("n", "number", "num", "x", "amount", "size", "level", "score", "start", "age")
PAIRS = (("a", "b"), ("x", "y"), ("left", "right"), ("first", "second"), ("low", "high"))


def cases(rng: random.Random) -> Draft:
    """Early returns by the case a number falls in."""
    param = pick(rng, *NUMBERS)
    keys, steps, body = [], [], []
    constants: list[int] = []
    for subject in (param, "it")[: 1 if chance(rng, 0.65) else 2]:
        test, value = condition(rng), change(rng)
        keys.append(f"{test.key} {value.key}")
        steps.append(f"if {subject} is {test.phrase} {value.on('it')}")
        body += under(f"if {test.at(param)}:", [f"return {value.at(param)}"])
        constants += test.constants
    other = change(rng) if chance(rng, 0.6) else IDENTITY
    if other is IDENTITY:
        constant = pick(rng, -1, 0, 1, 10, 100)
        keys.append(f"else {constant}")
        steps.append(
            pick(rng, f"returns {constant} otherwise", f"returns {constant} in other cases")
        )
        body.append(f"return {constant}")
    else:
        keys.append(f"else {other.key}")
        steps.append(f"otherwise {other.on('it')}")
        steps.append(pick(rng, "returns the result", "returns that"))
        body.append(f"return {other.at(param)}")
    values = tuple((v,) for v in (-8, -1, *ints(constants)))
    return Draft("cases " + " ".join(keys), (param,), tuple(steps), tuple(body), values)


def counting(rng: random.Random) -> Draft:
    """A loop from a first number up to the argument."""
    param = pick(rng, *NUMBERS)
    low, test, value = rng.randint(0, 1), condition(rng), change(rng)
    if chance(rng, 0.4):
        value = IDENTITY
    last = finish(rng) if chance(rng, 0.5) else IDENTITY
    kind = pick(rng, "sum", "sum", "count", "list")
    walk, stop = pick(
        rng, (f"goes from {low} to {param}", f"{param} + 1"),
        (f"goes from {low} up to but not including {param}", param),
    )  # fmt: skip
    steps = [walk, f"{pick(rng, 'keeps', 'takes')} the numbers that are {test.phrase}"]
    if kind == "count":
        value = IDENTITY
    if value is not IDENTITY:
        steps.append(value.on("each"))
    name, start, step, word = {
        "sum": ("total", "0", f"total += {value.at('i')}", pick(rng, "the sum", "the total")),
        "count": ("count", "0", "count += 1", pick(rng, "the count", "the number of them")),
        "list": ("result", "[]", f"result.append({value.at('i')})", "the list"),
    }[kind]
    if kind == "list":
        last = IDENTITY
    steps.append(f"returns {word}{last.phrase}")
    loop = under(f"for i in range({low}, {stop}):", under(f"if {test.at('i')}:", [step]))
    body = [f"{name} = {start}", *loop, f"return {last.at(name)}"]
    key = f"counting {low} {stop == param} {test.key} {value.key} {kind} {last.key}"
    inputs = tuple((v,) for v in ints(test.constants + last.constants))
    return Draft(key, (param,), tuple(steps), tuple(body), inputs)


def digits(rng: random.Random) -> Draft:
    """A while loop over the decimal digits of the argument."""
    param = pick(rng, *NUMBERS)
    bound = rng.randint(1, 7)
    word, test = pick(
        rng, ("even", "digit % 2 == 0"), ("odd", "digit % 2 == 1"),
        (f"above {bound}", f"digit > {bound}"), (f"below {bound}", f"digit < {bound}"),
        (f"at least {bound}", f"digit >= {bound}"), (f"not {bound}", f"digit != {bound}"),
    )  # fmt: skip
    value = IDENTITY if chance(rng, 0.4) else change(rng)
    last = finish(rng) if chance(rng, 0.6) else IDENTITY
    kind = pick(rng, "sum", "count", "product")
    value = IDENTITY if kind == "count" else value
    name, start, step, noun = {
        "sum": ("total", "0", f"total += {value.at('digit')}", "the sum"),
        "product": ("total", "1", f"total *= {value.at('digit')}", "the product"),
        "count": ("count", "0", "count += 1", "the count"),
    }[kind]
    look = pick(rng, f"goes through the digits of {param}", f"looks at each digit of {param}")
    steps = [look, f"keeps the digits that are {word}"]
    if value is not IDENTITY:
        steps.append(value.on("each"))
    steps.append(f"returns {noun}{last.phrase}")
    loop = [f"digit = {param} % 10", *under(f"if {test}:", [step]), f"{param} //= 10"]
    body = [f"{name} = {start}", *under(f"while {param} > 0:", loop), f"return {last.at(name)}"]
    numbers = {0, 5, 10, 99, 123, 4567, 9081, 22, 1234567890} | set(ints((bound, *last.constants)))
    key = f"digits {word} {value.key} {kind} {last.key}"
    return Draft(key, (param,), tuple(steps), tuple(body), tuple((v,) for v in sorted(numbers)))


def shrinking(rng: random.Random) -> Draft:
    """Count how often a number can be made smaller (or larger) until it reaches a bound."""
    param = pick(rng, *NUMBERS)
    k, bound, extra = rng.randint(2, 9), pick(rng, 5, 10, 20, 30, 50), rng.randint(1, 9)
    last = finish(rng) if chance(rng, 0.5) else IDENTITY
    kind = pick(rng, "divide", "subtract", "grow", "halve_or_step")
    if kind == "divide":
        steps = [f"while {param} is above {bound} divides it by {k} rounding down"]
        head, lines = f"while {param} > {bound}:", [f"{param} //= {k}"]
    elif kind == "subtract":
        steps = [f"while {param} is at least {bound} subtracts {k} from it"]
        head, lines = f"while {param} >= {bound}:", [f"{param} -= {k}"]
    elif kind == "grow":
        bound *= 10
        steps = [f"while {param} is below {bound} multiplies it by {k} and adds {extra}"]
        head, lines = f"while {param} < {bound}:", [f"{param} = {param} * {k} + {extra}"]
    else:
        steps = [
            f"while {param} is above {bound} halves it if it is even and "
            f"subtracts {k} from it otherwise"
        ]
        head = f"while {param} > {bound}:"
        lines = under(f"if {param} % 2 == 0:", [f"{param} //= 2"])
        lines += under("else:", [f"{param} -= {k}"])
    what = pick(rng, "count", "value")
    if what == "count":
        steps += [
            pick(rng, "counts the rounds", "counts the steps"),
            f"returns the count{last.phrase}",
        ]
        body = ["count = 0", *under(head, [*lines, "count += 1"]), f"return {last.at('count')}"]
    else:
        steps.append(f"returns {pick(rng, 'the final value', 'what is left')}{last.phrase}")
        body = [*under(head, lines), f"return {last.at(param)}"]
    key = f"shrinking {kind} {k} {bound} {extra if kind == 'grow' else 0} {what} {last.key}"
    values = tuple((v,) for v in ints((bound, bound + k, *last.constants)))
    return Draft(key, (param,), tuple(steps), tuple(body), values)


def two_numbers(rng: random.Random) -> Draft:
    """Two arguments compared, and combined one way or the other."""
    a, b = pick(rng, *PAIRS)
    sign, word = pick(
        rng, (">", "greater than"), ("<", "less than"), (">=", "at least"), ("<=", "at most")
    )
    ways = {
        "sum": (f"{a} + {b}", f"the sum of {a} and {b}"),
        "product": (f"{a} * {b}", f"the product of {a} and {b}"),
        "difference": (f"{a} - {b}", f"{a} minus {b}"),
        "reverse": (f"{b} - {a}", f"{b} minus {a}"),
        "squares": (f"{a} * {a} + {b} * {b}", f"the sum of the squares of {a} and {b}"),
        "a": (a, a),
        "b": (b, b),
    }
    names = list(ways)
    rng.shuffle(names)
    yes, no = names[0], names[1]
    first, last = (finish(rng) if chance(rng, 0.5) else IDENTITY for _ in range(2))
    steps = (
        f"if {a} is {word} {b} returns {ways[yes][1]}{first.phrase}",
        f"otherwise returns {ways[no][1]}{last.phrase}",
    )
    wrap = {yes: ways[yes][0], no: ways[no][0]}
    for name, end in ((yes, first), (no, last)):
        if " " in wrap[name] and end.key.split(":")[0] in ("times", "mod"):
            wrap[name] = f"({wrap[name]})"
    body = [
        *under(f"if {a} {sign} {b}:", [f"return {first.at(wrap[yes])}"]),
        f"return {last.at(wrap[no])}",
    ]
    inputs = [(x, y) for x in (0, 3, 8) for y in (1, 3, 12)]
    inputs += [(37, 52), (88, 3), (61, 61), (5, 90), (24, 23), (70, 45), (40, 40), (13, 12)]
    key = f"two {sign} {yes} {no} {first.key} {last.key}"
    return Draft(key, (a, b), steps, tuple(body), tuple(inputs))

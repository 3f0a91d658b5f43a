"""Lists of integers: guard, stop, filter, change, then one way of putting together."""

from __future__ import annotations

import random

from local_swarm.evals.families.draft import Draft, chance, int_lists, pick, under
from local_swarm.evals.families.steps import IDENTITY, Part, change, condition, finish

LISTS = (
    "values", "numbers", "nums", "data", "scores", "points", "amounts", "entries", "readings",
    "prices", "sizes", "ages", "weights", "samples", "marks", "levels",
)  # fmt: skip

NONE_FOUND = ("or {d} if there is none", "or {d} when nothing is left")


def fold(rng: random.Random) -> Draft:
    """Filter, change and put together the numbers of a list."""
    param = pick(rng, *LISTS)
    noun = pick(rng, "numbers", "values", "items")
    test = condition(rng) if chance(rng, 0.75) else None
    value = change(rng) if test is None or chance(rng, 0.65) else IDENTITY
    keys, steps, body = [], [], []
    constants = list(test.constants if test else ())
    if chance(rng, 0.25):
        empty = pick(rng, -1, 0, 1, 5, 10)
        keys.append(f"empty:{empty}")
        steps.append(
            pick(rng, f"gives {empty} for an empty list", f"gives back {empty} on no input")
        )
        body += under(f"if not {param}:", [f"return {empty}"])
    inner: list[str] = []
    if chance(rng, 0.15):
        stop = condition(rng)
        keys.append(f"stop:{stop.key}")
        word = pick(rng, "stops at the first one that is", "breaks off when one is")
        steps.append(f"{word} {stop.phrase}")
        inner += under(f"if {stop.at('item')}:", ["break"])
        constants += stop.constants
    if test:
        keys.append(f"if:{test.key}")
        verb = pick(rng, "keeps", "takes", "selects")
        steps.append(f"{verb} the {noun} that are {test.phrase}")
    if value is not IDENTITY:
        keys.append(value.key)
        steps.append(value.on(pick(rng, "each", "each one") if test else f"each of the {noun}"))
    key, clause, before, step, after, scalar = _gather(rng, value)
    keys.append(key)
    loop = under(f"if {test.at('item')}:", step) if test else step
    body += [*before, *under(f"for item in {param}:", inner + loop)]
    if scalar and chance(rng, 0.3):
        last = finish(rng)
        keys.append(last.key)
        clause += last.phrase
        after = last.at(after)
        constants += last.constants
    body.append(f"return {after}")
    steps.append(f"returns {clause}")
    return Draft(
        "fold " + " ".join(keys), (param,), tuple(steps), tuple(body),
        tuple((values,) for values in int_lists(constants)),
    )  # fmt: skip


def _gather(rng: random.Random, value: Part) -> tuple[str, str, list[str], list[str], str, bool]:
    """key, wording, lines before the loop, lines in it, what is returned, whether a number."""
    item = value.at("item")
    kind = pick(
        rng, "sum", "sum", "sum", "product", "list", "list", "reversed", "sorted", "down",
        "unique", "first", "last", "join", "max", "min", "alternate", "count",
    )  # fmt: skip
    if kind == "sum":
        clause = pick(rng, "the sum", "the total", "their sum")
        return kind, clause, ["total = 0"], [f"total += {item}"], "total", True
    if kind == "product":
        clause = pick(rng, "the product", "their product")
        return kind, clause, ["total = 1"], [f"total *= {item}"], "total", True
    if kind == "count":
        clause = pick(rng, "how many different ones there are", "the number of different ones")
        step = under(f"if {item} not in seen:", [f"seen.append({item})"])
        return kind, clause, ["seen = []"], step, "len(seen)", True
    if kind in ("max", "min"):
        sign = ">" if kind == "max" else "<"
        clause = {"max": pick(rng, "the largest", "the maximum", "the biggest")}.get(
            kind, "the smallest"
        )
        clause += pick(rng, " or None", " or None if there is none")
        step = under(f"if best is None or {item} {sign} best:", [f"best = {item}"])
        return kind, clause, ["best = None"], step, "best", False
    if kind == "alternate":
        clause = pick(rng, "the sum with alternating signs", "the alternating sum")
        step = [f"total += sign * ({item})" if " " in item else f"total += sign * {item}"]
        return kind, clause, ["total = 0", "sign = 1"], [*step, "sign = -sign"], "total", True
    if kind == "join":
        mark, word = pick(
            rng, ("-", "dashes"), (",", "commas"), (" ", "spaces"), ("+", "plus signs")
        )
        step = [f"result.append(str({item}))"]
        clause = f"them as text joined by {word}"
        return f"join:{mark}", clause, ["result = []"], step, f'"{mark}".join(result)', False
    append = [f"result.append({item})"]
    if kind == "unique":
        clause = pick(rng, "the list without repeats", "the list with no duplicates")
        step = under(f"if {item} not in result:", append)
        return kind, clause, ["result = []"], step, "result", False
    name, clause, after = {
        "list": ("list", pick(rng, "the list", "the new list", "them as a list"), "result"),
        "reversed": (kind, pick(rng, "them reversed", "them in reverse order"), "result[::-1]"),
        "sorted": (kind, pick(rng, "them sorted", "them in ascending order"), "sorted(result)"),
        "down": (
            kind,
            pick(rng, "them sorted down", "them in descending order"),
            "sorted(result, reverse=True)",
        ),
        "first": (kind, "the first 3 of them", "result[:3]"),
        "last": (kind, "the last 2 of them", "result[-2:]"),
    }[kind]
    return name, clause, ["result = []"], append, after, False


def search(rng: random.Random) -> Draft:
    """Look for the first number that fits and leave early."""
    param = pick(rng, *LISTS)
    noun = pick(rng, "number", "value", "item")
    test = condition(rng)
    kind = pick(rng, "value", "value", "changed", "index", "any", "all", "count")
    default = pick(rng, -1, 0, 99, 100)
    values = tuple((v,) for v in int_lists(test.constants))
    steps: tuple[str, ...]
    if kind in ("any", "all"):
        found = kind == "any"
        word = "any" if found else "every"
        clause = pick(
            rng, f"whether {word} {noun} is {test.phrase}",
            f"True if {word} {noun} is {test.phrase} and False otherwise",
        )  # fmt: skip
        steps = (f"returns {clause}",)
        text = f"if {test.at('item')}:" if found else f"if not ({test.at('item')}):"
        body = [
            *under(f"for item in {param}:", under(text, [f"return {found}"])),
            f"return {not found}",
        ]
        default = 0
    elif kind == "count":
        last = finish(rng)
        steps = (f"counts the {noun}s that are {test.phrase}", f"returns the count{last.phrase}")
        loop = under(f"for item in {param}:", under(f"if {test.at('item')}:", ["count += 1"]))
        body = ["count = 0", *loop, f"return {last.at('count')}"]
        return Draft(f"search count {test.key} {last.key}", (param,), steps, tuple(body), values)
    else:
        find = pick(rng, "finds", "looks for", "searches for")
        tail = pick(rng, *NONE_FOUND).replace("{d}", str(default))
        value = change(rng) if kind == "changed" else IDENTITY
        first = f"{find} the first {noun} that is {test.phrase}"
        if kind == "index":
            steps = (first, f"returns its {pick(rng, 'index', 'position')} {tail}")
            loop = under(f"if {test.at('item')}:", ["return index"])
            body = under(f"for index, item in enumerate({param}):", loop)
        else:
            middle = (value.on("it"),) if kind == "changed" else ()
            steps = (first, *middle, f"returns {pick(rng, 'it', 'the result')} {tail}")
            loop = under(f"if {test.at('item')}:", [f"return {value.at('item')}"])
            body = under(f"for item in {param}:", loop)
            kind += f" {value.key}"
        body.append(f"return {default}")
    return Draft(f"search {kind} {test.key} {default}", (param,), steps, tuple(body), values)


def branches(rng: random.Random) -> Draft:
    """Two different things done to the numbers of a list, then a list or a sum."""
    param = pick(rng, *LISTS)
    noun = pick(rng, "numbers", "values", "items")
    test, yes, no = condition(rng), change(rng), change(rng)
    if chance(rng, 0.2):
        no = IDENTITY
    kind = pick(rng, "sum", "list", "list")
    other = no.on("the others") if no is not IDENTITY else "leaves the others as they are"
    steps = [f"picks the {noun} that are {test.phrase}", yes.on("each of them"), other]
    store = "result.append({})" if kind == "list" else "total += {}"
    loop = under(f"if {test.at('item')}:", [store.format(yes.at("item"))])
    loop += under("else:", [store.format(no.at("item"))])
    name, start = ("result", "[]") if kind == "list" else ("total", "0")
    last = finish(rng) if kind == "sum" and chance(rng, 0.4) else IDENTITY
    word = (
        pick(rng, "the list", "the new list")
        if kind == "list"
        else pick(rng, "the sum", "the total")
    )
    steps.append(f"returns {word}{last.phrase}")
    body = [f"{name} = {start}", *under(f"for item in {param}:", loop), f"return {last.at(name)}"]
    return Draft(
        f"branches {test.key} {yes.key} {no.key} {kind} {last.key}", (param,), tuple(steps),
        tuple(body), tuple((v,) for v in int_lists(test.constants + last.constants)),
    )  # fmt: skip

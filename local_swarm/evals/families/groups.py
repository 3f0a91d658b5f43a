"""Several values that belong together: dicts, two lists, rows of rows, neighbours, groups."""

from __future__ import annotations

import random

from local_swarm.evals.families.draft import Draft, chance, int_lists, pick, small, under
from local_swarm.evals.families.folds import LISTS
from local_swarm.evals.families.steps import IDENTITY, change, condition, finish

DICTS = ("table", "stock", "totals", "costs", "limits", "lookup", "balances", "votes")
TWO_LISTS = (("left", "right"), ("first", "second"), ("a", "b"), ("xs", "ys"), ("old", "new"))
NAMES = (
    "kiwi", "apple", "pear", "fig", "plum", "lime", "nut", "date", "beet", "corn", "rice", "bean",
    "leek", "oats", "chard", *(f"item{number}" for number in range(80)),
)  # fmt: skip
ROWS = ("rows", "grid", "matrix", "board", "groups")


def mapping(rng: random.Random) -> Draft:
    """Filter and change the values of a dict, then collect, add up or choose a key."""
    param = pick(rng, *DICTS)
    test, value = condition(rng), change(rng) if chance(rng, 0.6) else IDENTITY
    kind = pick(rng, "dict", "dict", "sum", "keys", "best", "swap", "count")
    last = IDENTITY
    steps = [f"{pick(rng, 'keeps', 'takes')} the entries whose value is {test.phrase}"]
    if kind in ("keys", "count"):
        value = IDENTITY
    if value is not IDENTITY:
        steps.append(value.on("each value"))
    item = value.at("value")
    before, step, after = "result = {}", [f"result[key] = {item}"], "result"
    if kind == "dict":
        steps.append(f"returns {pick(rng, 'the new dict', 'them as a dict')}")
    elif kind == "swap":
        step = [f"result[{item}] = key"]
        steps.append(
            pick(rng, "returns a dict from value to key", "returns the dict turned around")
        )
    elif kind == "keys":
        order = pick(rng, "result", "sorted(result)", "result[::-1]")
        word = {"result": "", "sorted(result)": " sorted"}.get(order, " reversed")
        before, step, after = "result = []", ["result.append(key)"], order
        steps.append(f"returns the list of keys{word}")
    elif kind == "best":
        sign, word = pick(rng, (">", "largest"), ("<", "smallest"))
        before, after = "best = None\nscore = 0", "best"
        step = [f"if best is None or {item} {sign} score:", "    best = key", f"    score = {item}"]
        steps.append(f"returns the key with the {word} value or None")
        kind += word
    else:
        last = finish(rng) if chance(rng, 0.6) else IDENTITY
        name, word = ("total", "the sum") if kind == "sum" else ("count", "how many there are")
        word = "the count" if kind == "count" else word
        before, after = f"{name} = 0", name
        step = [f"total += {item}" if kind == "sum" else "count += 1"]
        steps.append(f"returns {word}{last.phrase}")
    loop = under(f"for key, value in {param}.items():", under(f"if {test.at('value')}:", step))
    body = [*before.split("\n"), *loop, f"return {last.at(after)}"]
    inputs = tuple(
        (dict(zip(NAMES, values, strict=False)),)
        for values in int_lists(test.constants + last.constants)
    )
    key = f"mapping {kind} {after} {test.key} {value.key} {last.key}"
    return Draft(key, (param,), tuple(steps), tuple(body), inputs)


def two_lists(rng: random.Random) -> Draft:
    """Two lists walked side by side."""
    one, two = pick(rng, *TWO_LISTS)
    sign, relation = pick(
        rng, (">", "greater than"), ("<", "less than"), ("!=", "different from"),
        (">=", "at least"), ("<=", "at most"),
    )  # fmt: skip
    source, phrase = pick(
        rng, ("p + q", "adds the two"), ("p * q", "multiplies the two"),
        ("p - q", "subtracts the second from the first"),
        ("q - p", "subtracts the first from the second"),
        ("abs(p - q)", "takes the absolute difference"), ("max(p, q)", "takes the larger"),
        ("min(p, q)", "takes the smaller"),
    )  # fmt: skip
    k, filtered = small(rng), chance(rng, 0.7)
    extra, extra_phrase = pick(
        rng,
        ("", ""),
        (f" + {k}", f" plus {k}"),
        (f" - {k}", f" minus {k}"),
        (f" + {k}", f" plus {k}"),
    )
    kind = pick(rng, "sum", "list", "list", "count")
    last = finish(rng) if kind != "list" and chance(rng, 0.5) else IDENTITY
    filtered = filtered or kind == "count"
    steps = [pick(rng, f"goes through {one} and {two} together", f"pairs up {one} and {two}")]
    if filtered:
        steps.append(f"keeps the pairs where the first is {relation} the second")
    if kind != "count":
        steps.append(phrase + extra_phrase)
    name, start, step, word = {
        "sum": ("total", "0", f"total += {source}{extra}", "the sum"),
        "list": ("result", "[]", f"result.append({source}{extra})", "the list"),
        "count": ("count", "0", "count += 1", "the count"),
    }[kind]
    steps.append(f"returns {word}{last.phrase}")
    lines = under(f"if p {sign} q:", [step]) if filtered else [step]
    body = [f"{name} = {start}", *under(f"for p, q in zip({one}, {two}):", lines)]
    body.append(f"return {last.at(name)}")
    lists = int_lists(last.constants)
    inputs = [(v, [*v[1:], *v[:1]]) for v in lists] + [([1, 5, 9, 4], [3, 5, 2]), ([7, 7], [7, 1])]
    detail = f"{source}{extra}" if kind != "count" else ""
    key = f"two_lists {sign if filtered else ''} {detail} {kind} {last.key}"
    return Draft(key, (one, two), tuple(steps), tuple(body), tuple(inputs))


def nested(rng: random.Random) -> Draft:
    """Rows of numbers, walked in two loops."""
    param = pick(rng, *ROWS)
    test, value = condition(rng), change(rng) if chance(rng, 0.6) else IDENTITY
    kind = pick(rng, "flat", "sum", "per_row", "row_counts", "big_rows")
    steps = [f"goes through all {pick(rng, 'rows', 'the rows')} of {param}"]
    keep = f"keeps the numbers that are {test.phrase}"
    both = [keep, *([value.on("each")] if value is not IDENTITY else [])]
    item, last = value.at("item"), IDENTITY
    name, start = "result", "[]"
    if kind in ("flat", "sum"):
        step = f"result.append({item})"
        steps += both
        if kind == "sum":
            name, start, step = "total", "0", f"total += {item}"
            last = finish(rng) if chance(rng, 0.5) else IDENTITY
        steps.append(f"returns {'one flat list' if kind == 'flat' else 'the sum'}{last.phrase}")
        lines = under("for item in row:", under(f"if {test.at('item')}:", [step]))
    elif kind == "per_row":
        steps += [*both, "returns the list of row sums"]
        inside = under("for item in row:", under(f"if {test.at('item')}:", [f"total += {item}"]))
        lines = ["total = 0", *inside, "result.append(total)"]
    elif kind == "row_counts":
        value = IDENTITY
        last = finish(rng)
        steps += [f"counts the rows whose sum is {test.phrase}", f"returns the count{last.phrase}"]
        name, start = "count", "0"
        lines = under(f"if {test.at('sum(row)')}:", ["count += 1"])
    else:
        what, word = pick(rng, ("max", "largest"), ("min", "smallest"))
        where = pick(rng, ("if row", "not empty"), ("if len(row) > 1", "longer than 1"))
        steps += [f"takes the {word} number of each row that is {where[1]}"]
        steps += [value.on("it")] if value is not IDENTITY else []
        steps.append("returns the list")
        lines = under(where[0] + ":", [f"result.append({value.at(f'{what}(row)')})"])
        key = f"nested {what} {where[0]} {value.key}"
    body = [f"{name} = {start}", *under(f"for row in {param}:", lines), f"return {last.at(name)}"]
    if kind != "big_rows":
        key = f"nested {kind} {test.key} {value.key} {last.key}"
    lists = int_lists(test.constants + last.constants)
    singles = [[v] for v in lists[2]]
    inputs: tuple[tuple[object, ...], ...] = (
        ([],),
        (list(lists),),
        (list(lists[1:4]),),
        ([lists[5], [3], lists[6]],),
        (singles,),
        ([[1, 2], [3], [5, 4]],),
        *(([row],) for row in singles),
    )
    return Draft(key, (param,), tuple(steps), tuple(body), inputs)


def neighbours(rng: random.Random) -> Draft:
    """Places in a list: steps between neighbours, every k-th item, chunks, running values."""
    param = pick(rng, *LISTS)
    k, test, value = rng.randint(2, 5), condition(rng), change(rng)
    kind = pick(rng, "steps", "every", "chunks", "running", "weighted")
    last = IDENTITY
    if kind == "steps":
        if chance(rng, 0.4):
            value = IDENTITY
        far = "takes the difference of each item and the one before"
        steps = [pick(rng, far, "takes the step from each item to the next")]
        steps.append(f"keeps the differences that are {test.phrase}")
        steps += [value.on("each")] if value is not IDENTITY else []
        steps.append("returns the list")
        loop = [f"step = {param}[i] - {param}[i - 1]"]
        loop += under(f"if {test.at('step')}:", [f"result.append({value.at('step')})"])
        body = ["result = []", *under(f"for i in range(1, len({param})):", loop), "return result"]
        key = f"{test.key} {value.key}"
    elif kind == "every":
        rest = rng.randint(0, k - 1)
        steps = [f"takes every item whose index modulo {k} is {rest}", value.on("each")]
        name, start, step, word = pick(
            rng, ("total", "0", "total += {}", "the sum"),
            ("result", "[]", "result.append({})", "the list"),
        )  # fmt: skip
        last = finish(rng) if name == "total" and chance(rng, 0.5) else IDENTITY
        steps.append(f"returns {word}{last.phrase}")
        loop = under(f"if index % {k} == {rest}:", [step.format(value.at("item"))])
        body = [f"{name} = {start}", *under(f"for index, item in enumerate({param}):", loop)]
        body.append(f"return {last.at(name)}")
        key = f"{k} {rest} {value.key} {name} {last.key}"
    elif kind == "chunks":
        func, word = pick(
            rng, ("sum", "sum"), ("max", "largest number"), ("min", "smallest number")
        )
        steps = [f"cuts {param} into chunks of {k}", f"takes the {word} of each chunk"]
        steps += [value.on("it"), "returns the list"]
        loop = [f"chunk = {param}[i:i + {k}]", f"result.append({value.at(f'{func}(chunk)')})"]
        body = [
            "result = []",
            *under(f"for i in range(0, len({param}), {k}):", loop),
            "return result",
        ]
        key = f"{k} {func} {value.key}"
    elif kind == "running":
        first = pick(rng, 0, 1, 10, 100)
        steps = [f"starts a running total at {first}", value.on("each item")]
        steps += ["adds it to the total", f"stops once the total is {test.phrase}"]
        steps.append("returns the list of totals")
        loop = [f"total += {value.at('item')}", "result.append(total)"]
        loop += under(f"if {test.at('total')}:", ["break"])
        body = [f"total = {first}", "result = []"]
        body += [*under(f"for item in {param}:", loop), "return result"]
        key = f"{first} {value.key} {test.key}"
    else:
        base = rng.randint(1, 9)
        last = finish(rng) if chance(rng, 0.5) else IDENTITY
        steps = [
            f"keeps the items that are {test.phrase}",
            f"multiplies each by its index plus {base}",
        ]
        steps.append(f"returns the sum{last.phrase}")
        loop = under(f"if {test.at('item')}:", [f"total += item * (index + {base})"])
        body = ["total = 0", *under(f"for index, item in enumerate({param}):", loop)]
        body.append(f"return {last.at('total')}")
        key = f"{base} {test.key} {last.key}"
    values = tuple((v,) for v in int_lists(test.constants + last.constants))
    return Draft(f"neighbours {kind} {key}", (param,), tuple(steps), tuple(body), values)


def grouping(rng: random.Random) -> Draft:
    """A dict built from a list: counts or groups by a computed key."""
    param = pick(rng, *LISTS)
    test, value, k = condition(rng), change(rng), rng.randint(2, 9)
    source, phrase = pick(
        rng, (f"item % {k}", f"the remainder by {k}"), (f"item // {k}", f"the quotient by {k}"),
        (f"item > {k}", f"whether it is above {k}"), ("item % 2 == 0", "whether it is even"),
    )  # fmt: skip
    kind = pick(rng, "count", "sum", "lists")
    filtered = chance(rng, 0.6)
    steps = [f"keeps the items that are {test.phrase}"] if filtered else []
    if kind == "count":
        steps.append(f"counts them by {phrase}")
        step = "result[key] = result.get(key, 0) + 1"
    elif kind == "sum":
        steps += [f"groups them by {phrase}", value.on("each"), "adds up each group"]
        step = f"result[key] = result.get(key, 0) + {value.at('item')}"
    else:
        steps += [f"groups them into lists by {phrase}", value.on("each")]
        step = f"result.setdefault(key, []).append({value.at('item')})"
    steps.append(pick(rng, "returns the dict", "returns that as a dict"))
    lines = [f"key = {source}", step]
    lines = under(f"if {test.at('item')}:", lines) if filtered else lines
    body = ["result = {}", *under(f"for item in {param}:", lines), "return result"]
    constants = (*(test.constants if filtered else ()), k)
    parts = [test.key if filtered else "", value.key if kind != "count" else ""]
    key = f"grouping {kind} {source} {' '.join(parts)}"
    values = tuple((v,) for v in int_lists(constants))
    return Draft(key, (param,), tuple(steps), tuple(body), values)

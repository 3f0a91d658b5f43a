"""Text read one character at a time, and lists of words."""

from __future__ import annotations

import random

from local_swarm.evals.families.draft import Draft, chance, pick, under
from local_swarm.evals.families.steps import IDENTITY, Part, change, finish

TEXTS = ("text", "line", "phrase", "message", "sentence", "title", "s")
WORDS = ("words", "names", "lines", "tokens", "labels", "tags", "parts", "keys")
LETTERS = "abcdeghilmnoprstu"
SEPARATORS = (
    ("-", "dashes"),
    (",", "commas"),
    (" ", "spaces"),
    ("_", "underscores"),
    ("/", "slashes"),
)


def _char_condition(rng: random.Random) -> Part:
    letter, other = pick(rng, *LETTERS), pick(rng, *LETTERS)
    return pick(
        rng,
        Part("vowel", '{x} in "aeiou"', "vowels"),
        Part("novowel", '{x} not in "aeiou"', "not vowels"),
        Part("digit", "{x}.isdigit()", "digits"),
        Part("alpha", "{x}.isalpha()", "letters"),
        Part("upper", "{x}.isupper()", "upper case"),
        Part("lower", "{x}.islower()", "lower case"),
        Part("nospace", '{x} != " "', "not spaces"),
        Part(f"is:{letter}", f'{{x}} == "{letter}"', f'equal to "{letter}"'),
        Part(f"not:{letter}", f'{{x}} != "{letter}"', f'not "{letter}"'),
        Part(f"after:{letter}", f'{{x}} > "{letter}"', f'after "{letter}" in the alphabet'),
        Part(f"in:{letter}{other}", f'{{x}} in "{letter}{other}"', f'"{letter}" or "{other}"'),
    )


def _char_change(rng: random.Random) -> Part:
    k, mark = rng.randint(2, 5), pick(rng, "-", "*", ".", "+", "_")
    return pick(
        rng,
        Part("upper", "{x}.upper()", "turns {o} into upper case"),
        Part("lower", "{x}.lower()", "turns {o} into lower case"),
        Part(f"repeat:{k}", f"{{x}} * {k}", f"repeats {{o}} {k} times"),
        Part(f"after:{mark}", f'{{x}} + "{mark}"', f'puts "{mark}" after {{o}}'),
        Part(f"before:{mark}", f'"{mark}" + {{x}}', f'puts "{mark}" before {{o}}'),
        Part(f"replace:{mark}", f'"{mark}"', f'replaces {{o}} by "{mark}"'),
    )


def _texts(source: str) -> tuple[tuple[object, ...], ...]:
    rng = random.Random(source)
    letters = "".join(c for c in source if c.isalpha() and c in LETTERS)
    mixed = [*"aAeEbBzZ09 -", *letters, *letters.upper()]
    shuffled = list(mixed)
    rng.shuffle(shuffled)
    texts = (
        "", "a", "Hello World 42", "the quick brown fox", "MISSISSIPPI river 7", "".join(shuffled),
        LETTERS, LETTERS[::-1].upper(), "".join(rng.choices(mixed, k=12)), "  two  spaces ",
        "12345", "a1 " * 9, "bEz 7 " * 12,
    )  # fmt: skip
    return tuple((text,) for text in texts)


def characters(rng: random.Random) -> Draft:
    """Filter and change the characters of a text, then count, join or look up."""
    param = pick(rng, *TEXTS)
    test, value = _char_condition(rng), IDENTITY
    keep = f"{pick(rng, 'keeps', 'takes', 'picks')} the characters that are {test.phrase}"
    header = f"for char in {param}:"
    kind = pick(rng, "count", "text", "text", "else", "list", "positions", "tally", "index")
    if kind == "count":
        last = finish(rng)
        steps = [f"counts the characters that are {test.phrase}", f"returns the count{last.phrase}"]
        body = ["count = 0", *under(header, under(f"if {test.at('char')}:", ["count += 1"]))]
        body.append(f"return {last.at('count')}")
        kind += f" {last.key}"
    elif kind in ("text", "list"):
        value = _char_change(rng) if chance(rng, 0.7) else IDENTITY
        steps = [keep, *([value.on("each")] if value is not IDENTITY else [])]
        step = (
            f"result += {value.at('char')}"
            if kind == "text"
            else f"result.append({value.at('char')})"
        )
        after, word = pick(
            rng, ("result", "the {}"), ("result[::-1]", "the {} reversed"),
            ("result[:5]", "the first 5 of the {}"), ("result * 2", "the {} twice"),
        )  # fmt: skip
        start = '""' if kind == "text" else "[]"
        body = [f"result = {start}", *under(header, under(f"if {test.at('char')}:", [step]))]
        body.append(f"return {after}")
        steps.append(f"returns {word.format(kind)}")
        kind += f" {after}"
    elif kind == "else":
        value, other = _char_change(rng), _char_change(rng)
        other = other if chance(rng, 0.6) else IDENTITY
        tail = other.on("the others") if other is not IDENTITY else "leaves the others as they are"
        steps = [value.on(f"the characters that are {test.phrase}"), tail, "returns the new text"]
        loop = under(f"if {test.at('char')}:", [f"result += {value.at('char')}"])
        loop += under("else:", [f"result += {other.at('char')}"])
        body = ['result = ""', *under(header, loop), "return result"]
        kind += f" {other.key}"
    elif kind == "tally":
        value = _char_change(rng) if chance(rng, 0.5) else IDENTITY
        steps = [keep, *([value.on("each")] if value is not IDENTITY else [])]
        steps.append("returns a dict with how often each one occurs")
        lines = [f"key = {value.at('char')}", "counts[key] = counts.get(key, 0) + 1"]
        body = [
            "counts = {}",
            *under(header, under(f"if {test.at('char')}:", lines)),
            "return counts",
        ]
    else:
        base = rng.randint(0, 5)
        place = f"index + {base}" if base else "index"
        word = f" counting from {base}" if base else ""
        header = f"for index, char in enumerate({param}):"
        if kind == "positions":
            steps = [keep, f"returns the list of their positions{word}"]
            loop = under(f"if {test.at('char')}:", [f"result.append({place})"])
            body = ["result = []", *under(header, loop), "return result"]
        else:
            default = pick(rng, -1, 0, 99)
            find = pick(rng, "finds", "looks for")
            steps = [f"{find} the first of the characters that are {test.phrase}"]
            steps.append(f"returns its position{word} or {default} if there is none")
            body = under(header, under(f"if {test.at('char')}:", [f"return {place}"]))
            body.append(f"return {default}")
            kind += f" {default}"
        kind += f" {base}"
    key = f"characters {kind} {test.key} {value.key}"
    return Draft(key, (param,), tuple(steps), tuple(body), _texts(test.source))


def _word_condition(rng: random.Random) -> Part:
    k, letter = rng.randint(2, 7), pick(rng, *LETTERS)
    return pick(
        rng,
        Part(f"longer:{k}", f"len({{x}}) > {k}", f"have more than {k} letters", (k,)),
        Part(f"shorter:{k}", f"len({{x}}) < {k}", f"have fewer than {k} letters", (k,)),
        Part(f"atleast:{k}", f"len({{x}}) >= {k}", f"have at least {k} letters", (k,)),
        Part(f"atmost:{k}", f"len({{x}}) <= {k}", f"have at most {k} letters", (k,)),
        Part(f"exactly:{k}", f"len({{x}}) == {k}", f"have exactly {k} letters", (k,)),
        Part("even", "len({x}) % 2 == 0", "have an even length"),
        Part("odd", "len({x}) % 2 == 1", "have an odd length"),
        Part(f"starts:{letter}", f'{{x}}.startswith("{letter}")', f'start with "{letter}"'),
        Part(f"ends:{letter}", f'{{x}}.endswith("{letter}")', f'end with "{letter}"'),
        Part(f"has:{letter}", f'"{letter}" in {{x}}', f'contain "{letter}"'),
        Part(f"lacks:{letter}", f'"{letter}" not in {{x}}', f'do not contain "{letter}"'),
    )


def _word_change(rng: random.Random) -> Part:
    k, letter = rng.randint(2, 5), pick(rng, *LETTERS)
    return pick(
        rng,
        Part("upper", "{x}.upper()", "turns {o} into upper case"),
        Part("title", "{x}.title()", "turns {o} into title case"),
        Part("reverse", "{x}[::-1]", "reverses {o}"),
        Part("cut", "{x}[:3]", "takes the first 3 letters of {o}"),
        Part("tail", "{x}[-2:]", "takes the last 2 letters of {o}"),
        Part("skip", "{x}[1:]", "drops the first letter of {o}"),
        Part(f"append:{letter}", f'{{x}} + "{letter}"', f'adds "{letter}" to the end of {{o}}'),
        Part(f"prefix:{letter}", f'"{letter}" + {{x}}', f'puts "{letter}" in front of {{o}}'),
        Part(f"repeat:{k}", f"{{x}} * {k}", f"repeats {{o}} {k} times"),
    )


def _word_lists(source: str) -> tuple[tuple[object, ...], ...]:
    rng = random.Random(source)
    sized = ["planet"[:n] if n < 7 else "elephants"[:n] for n in range(1, 10)]
    quoted = source.split('"')[1] if '"' in source else "a"
    marked = [quoted, quoted + "bcd", "xyz" + quoted, "mn" + quoted + "qr", "zzz", "Kilo" + quoted]
    both = sized + marked
    rng.shuffle(both)
    lists: tuple[list[str], ...] = (
        [], sized, marked, both, both[:4], ["one", "two", "three", "two", "three", "eleven"],
        ["", quoted, "longest word"], *([word] for word in sized), both * 3,
    )  # fmt: skip
    return tuple((words,) for words in lists)


def words(rng: random.Random) -> Draft:
    """Filter and change the words of a list, then collect, join, measure or choose."""
    param, noun = pick(rng, *WORDS), pick(rng, "words", "strings", "texts")
    test = _word_condition(rng)
    value = _word_change(rng) if chance(rng, 0.7) else IDENTITY
    steps = [f"{pick(rng, 'keeps', 'takes', 'selects')} the {noun} that {test.phrase}"]
    kind = pick(
        rng, "list", "list", "join", "join", "count", "lengths", "longest", "sorted", "dict",
        "first",
    )  # fmt: skip
    if kind in ("count", "lengths", "dict"):
        value = IDENTITY
    word = value.at("word")
    if value is not IDENTITY:
        steps.append(value.on("each"))
    before, last = "result = []", IDENTITY
    step, after = [f"result.append({word})"], "result"
    if kind == "list":
        steps.append(f"returns {pick(rng, 'the list', 'the new list', 'them as a list')}")
    elif kind == "sorted":
        after = pick(rng, "sorted(result)", "sorted(result, key=len)", "result[::-1]")
        tail = {"sorted(result)": "sorted", "result[::-1]": "reversed"}.get(
            after, "sorted by length"
        )
        steps.append(f"returns them {tail}")
    elif kind == "join":
        mark, name = pick(rng, *SEPARATORS)
        after = f'"{mark}".join(result)'
        steps.append(
            pick(rng, f"returns them joined by {name}", f"returns them joined with {name}")
        )
    elif kind == "count":
        last, before, step, after = finish(rng), "count = 0", ["count += 1"], "count"
        steps.append(f"returns their number{last.phrase}")
    elif kind == "lengths":
        measure = change(rng)
        last, before, after = finish(rng), "total = 0", "total"
        step = [f"total += {measure.at('len(word)')}"]
        steps += [f"{measure.on('the length of each')}", f"returns the sum{last.phrase}"]
        value = measure
    elif kind == "longest":
        sign, name = pick(rng, (">", "longest"), ("<", "shortest"))
        before, after = "best = None", "best"
        step = under(f"if best is None or len({word}) {sign} len(best):", [f"best = {word}"])
        steps.append(f"returns the {name} or None")
        kind += name
    elif kind == "dict":
        measure = change(rng) if chance(rng, 0.6) else IDENTITY
        before, step = "result = {}", [f"result[word] = {measure.at('len(word)')}"]
        if measure is not IDENTITY:
            steps.append(measure.on("the length of each"))
        steps.append("returns a dict from word to length")
        value = measure
    else:
        default = pick(rng, "none", "empty", "missing", "nothing")
        steps.append(f'returns the first one or "{default}"')
        body = under(f"for word in {param}:", under(f"if {test.at('word')}:", [f"return {word}"]))
        body.append(f'return "{default}"')
        key = f"words first {default} {test.key} {value.key}"
        return Draft(key, (param,), tuple(steps), tuple(body), _word_lists(test.source))
    body = [before, *under(f"for word in {param}:", under(f"if {test.at('word')}:", step))]
    body.append(f"return {last.at(after)}")
    key = f"words {kind} {after} {test.key} {value.key} {last.key}"
    return Draft(key, (param,), tuple(steps), tuple(body), _word_lists(test.source))

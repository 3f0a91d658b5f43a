"""Votes on calls and JSON of which the right winner is known by construction.

Every pattern below is a way in which voters agree and disagree; it is made for several tools,
faults and numbers of voters, with a fixed seed. A case holds the voters' answers as the fake server
is told them, and the places of those that may win.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`agree`: how many of the voters the vote must find to say the same as the winner, where that
    is known. `demands` are fields of the chat request. `for_chat` has no counterpart elsewhere."""

    name: str
    answers: Sequence[Any]
    right: frozenset[int]
    agree: int | None = None
    demands: dict[str, Any] = field(default_factory=dict)
    for_chat: bool = False
    status: int = 200


def _schema(required: Sequence[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
STEP = _schema(["title"], title=STRING, done={"type": "boolean", "default": False}, size=INTEGER)
PARAMETERS: dict[str, dict[str, Any]] = {
    "read": _schema(
        ["path", "offset"],
        path=STRING,
        offset=INTEGER,
        limit={"type": "integer", "default": 2000},
        encoding={"enum": ["utf-8", "latin-1"], "default": "utf-8"},
        note={"type": ["string", "null"]},
    ),
    "search": _schema(
        ["query"],
        query=STRING,
        folders={"type": "array", "items": STRING},
        most={"type": "integer"},
        exact={"type": "boolean", "default": False},
    ),
    "plan": _schema(
        ["steps"],
        steps={"type": "array", "items": STEP},
        budget={"type": "number"},
        owner=_schema(["name"], name=STRING, level=INTEGER),
    ),
    "write": _schema(["path", "content"], path=STRING, content=STRING),
    "send": _schema(["to", "message"], to=STRING, message=STRING),
    "ping": {"type": "object", "properties": {}, "additionalProperties": False},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": parameters}}
    for name, parameters in PARAMETERS.items()
]
WORDS = ("alpha", "bravo", "delta", "echo", "golf", "hotel", "india", "kilo", "lima", "mike")
PROSE = (
    "please move the meeting about the new parser to the afternoon because two of us are still"
    " travelling then and bring the list of open questions with you"
)
DONE = ("The file is fine as it is.", "the file is fine  as it is.")
SEED = 20


class Maker:
    """Arguments, and other spellings and faults of them. No value is ever made twice."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._numbers = count(self.rng.randint(3, 900))

    def number(self) -> int:
        return next(self._numbers)

    def word(self) -> str:
        return f"{self.rng.choice(WORDS)}{self.number()}"

    def arguments(self, tool: str) -> Arguments:
        """All that a call may give, but for what has a default or may be null."""
        step = {"title": self.word(), "done": False, "size": self.number()}
        made: dict[str, Callable[[], Arguments]] = {
            "read": lambda: {"path": f"src/{self.word()}.py", "offset": self.number()},
            "search": lambda: {
                "query": self.word(),
                "folders": [self.word(), f"caf\u00e9/{self.word()}"],
                "most": self.number(),
            },
            "plan": lambda: {
                "steps": [step, {**step, "title": self.word()}],
                "budget": self.number() + 0.5,
                "owner": {"name": self.word(), "level": self.number()},
            },
            "write": lambda: {"path": f"{self.word()}.txt", "content": self.word()},
            "send": lambda: {"to": self.word(), "message": self.word()},
            "ping": dict,
        }
        return made[tool]()

    def spelled(self, tool: str, arguments: Arguments) -> str:
        """The same arguments, written in another way that keeps the schema."""
        parameters = PARAMETERS[tool]["properties"]
        said = dict(arguments)
        for name, asked in parameters.items():
            if name not in said and "default" in asked and self.rng.random() < 0.5:
                said[name] = asked["default"]
            elif name == "note" and self.rng.random() < 0.5:
                said[name] = None
        text = self._text("", said)
        return f" {text}\n" if self.rng.random() < 0.3 else text

    def _text(self, name: str, value: Any) -> str:
        colon, comma = self.rng.choice([(":", ","), (": ", ", "), (" :\n", " ,\n ")])
        if isinstance(value, dict):
            items = list(value.items())
            self.rng.shuffle(items)
            return "{" + comma.join(f'"{k}"{colon}{self._text(k, v)}' for k, v in items) + "}"
        if isinstance(value, list):
            return "[" + comma.join(self._text(name, item) for item in value) + "]"
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**50:
            return self.rng.choice([str(value), f"{value}.0", f"{value}e0"])
        if name == "path":
            value = self.rng.choice(["", "./"]) + value
        return json.dumps(value, ensure_ascii=self.rng.random() < 0.5)

    def faulty(self, tool: str, fault: str, arguments: Arguments) -> str:
        """Arguments that break the schema, or are none."""
        required = PARAMETERS[tool]["required"][0]
        right = json.dumps(arguments)
        made: dict[str, Any] = {
            "missing": {k: v for k, v in arguments.items() if k != required},
            "type": {**arguments, required: {"is": self.word()}},
            "string": {**arguments, "offset": str(arguments.get("offset"))},
            "enum": {**arguments, "encoding": "klingon"},
            "more": {**arguments, self.word(): True},
            "null": {**arguments, required: None},
            "nested": {**arguments, "owner": {"level": 1}},
            "cut": right[: len(right) // 2],
            "quotes": right.replace('"', "'"),
            "list": [arguments],
            "encoded": json.dumps(right),
        }
        text = made[fault]
        return text if isinstance(text, str) else json.dumps(text)


def call(name: str, arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def calls(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One voter's answer."""
    return {"tool_calls": [*made], **more}


def cases() -> list[Case]:
    """All of them, in one order."""
    maker = Maker(SEED)
    made = [case for pattern in PATTERNS for case in pattern(maker)]
    return [_mixed(case, random.Random(i)) for i, case in enumerate(made)]


def _mixed(case: Case, rng: random.Random) -> Case:
    """With the voters in another order, and each call with an id of its own."""
    order = rng.sample(range(len(case.answers)), len(case.answers))
    answers = [_numbered(case.answers[i], at) for at, i in enumerate(order)]
    right = frozenset(at for at, i in enumerate(order) if i in case.right)
    return Case(case.name, answers, right, case.agree, case.demands, case.for_chat, case.status)


def _numbered(answer: Any, voter: int) -> Any:
    if isinstance(answer, str) or "tool_calls" not in answer:
        return answer
    made = [{**one, "id": f"call_{voter}_{i}"} for i, one in enumerate(answer["tool_calls"])]
    return {**answer, "tool_calls": made}


def _case(
    name: str, right: Sequence[Any], wrong: Sequence[Any], agree: int | None = -1, **more: Any
) -> Case:
    """The first answers are right, and agree with each other."""
    return Case(
        f"{name}, {len(right)} of {len(right) + len(wrong)}",
        [*right, *wrong],
        frozenset(range(len(right))),
        len(right) if agree == -1 else agree,
        **more,
    )


def majority(maker: Maker) -> Iterator[Case]:
    """More than half mean the same, in ever other spellings."""
    for tool in ("read", "search", "plan", "write"):
        for n in (3, 4, 5, 7, 8):
            same = maker.arguments(tool)
            right = [calls(call(tool, maker.spelled(tool, same))) for _ in range(n // 2 + 1)]
            wrong = [
                calls(call(tool, maker.spelled(tool, maker.arguments(tool))))
                for _ in range(n - len(right))
            ]
            yield _case(f"a majority in {tool}", right, wrong)


def spelling(maker: Maker) -> Iterator[Case]:
    """Three mean the same and write it differently; two write the same and are wrong."""
    for tool in ("read", "search", "plan", "write"):
        for copies in (2, 3):
            same, other = maker.arguments(tool), json.dumps(maker.arguments(tool))
            right = [calls(call(tool, maker.spelled(tool, same))) for _ in range(copies + 1)]
            yield _case(f"many spellings of {tool}", right, [calls(call(tool, other))] * copies)


def plurality(maker: Maker) -> Iterator[Case]:
    """Two or three mean the same, everybody else something of their own."""
    for tool in ("read", "search", "plan"):
        for agreeing, n in ((2, 4), (2, 5), (3, 7), (3, 8)):
            same = maker.arguments(tool)
            right = [calls(call(tool, maker.spelled(tool, same))) for _ in range(agreeing)]
            wrong = [
                calls(call(tool, json.dumps(maker.arguments(tool)))) for _ in range(n - agreeing)
            ]
            yield _case(f"a few agree in {tool}", right, wrong)


def by_argument(maker: Maker) -> Iterator[Case]:
    """Nobody says the same; one has everything as most have it, each other has one thing wrong."""
    for tool in ("read", "search", "plan"):
        for rounds in (1, 2):
            same, wrong = maker.arguments(tool), []
            for name in list(same) * rounds:
                one_off = {**same, name: maker.arguments(tool)[name]}
                wrong.append(calls(call(tool, maker.spelled(tool, one_off))))
            right = [calls(call(tool, maker.spelled(tool, same)))]
            if len(wrong) <= 7:
                yield _case(f"argument by argument in {tool}", right, wrong)


def not_the_plurality(maker: Maker) -> Iterator[Case]:
    """Two are equal, but in each of their arguments most say something else."""
    for tool in ("read", "search"):
        same, other = maker.arguments(tool), maker.arguments(tool)
        pair = [calls(call(tool, json.dumps(other)))] * 2
        one_off = [
            calls(call(tool, json.dumps({**same, name: maker.arguments(tool)[name]})))
            for name in (list(same) * 2)[:4]
        ]
        yield _case(f"no plurality in {tool}", [calls(call(tool, same))], [*pair, *one_off])


BREAKING = [
    *(("read", f) for f in ("missing", "type", "string", "enum", "more", "null", "cut", "list")),
    *(("search", fault) for fault in ("missing", "type", "more", "quotes", "encoded")),
    *(("plan", fault) for fault in ("missing", "type", "nested", "cut", "encoded")),
]


def breaking(maker: Maker) -> Iterator[Case]:
    """Most make the same mistake; the few that keep the schema win."""
    choices: list[Any] = ["auto", "required", None]
    for at, (tool, fault) in enumerate(BREAKING):
        for keeping, n in ((1, 3), (1, 2), (2, 6)):
            same = maker.arguments(tool)
            wrong = maker.faulty(tool, fault, maker.arguments(tool))
            right = [calls(call(tool, maker.spelled(tool, same))) for _ in range(keeping)]
            named = {"type": "function", "function": {"name": tool}}
            demands = {"tool_choice": choices[(at + n) % 3] or named}
            breaks = [calls(call(tool, wrong))] * (n - keeping)
            yield _case(f"{fault} in {tool}", right, breaks, demands=demands)


def unknown(maker: Maker) -> Iterator[Case]:
    """Most call a function that nobody offered."""
    for name in ("reed", "READ", "", "rm", "functions.read"):
        same = maker.arguments("read")
        right = [calls(call("read", maker.spelled("read", same))) for _ in range(2)]
        yield _case(f"no function {name!r}", right, [calls(call(name, same))] * 3)


def functions(maker: Maker) -> Iterator[Case]:
    """The function that most call is called, whatever the arguments."""
    for n in (3, 5, 8):
        most = n // 2 + 1
        right = [calls(call("search", maker.arguments("search"))) for _ in range(most)]
        wrong = [calls(call("read", maker.arguments("read")))] * (n - most)
        yield _case("the function of most", right, wrong, agree=None if n > 3 else 1)


def text_or_calls(maker: Maker) -> Iterator[Case]:
    """What most do is done; of as many, the calls; and what tool_choice says above all."""
    same = maker.arguments("read")

    def made(times: int) -> list[Any]:
        return [calls(call("read", maker.spelled("read", same))) for _ in range(times)]

    def said(times: int) -> list[Any]:
        return [DONE[i % 2] for i in range(times)]

    for more, less in ((2, 1), (3, 2), (5, 3), (6, 1)):
        yield _case("calls against text", made(more), said(less))
        yield _case("text against calls", said(more), made(less))
        required = {"tool_choice": "required"}
        yield _case("a call is demanded", made(less), said(more), demands=required)
        yield _case("no call is wanted", said(less), made(more), demands={"tool_choice": "none"})
    for times in (1, 2, 4):
        yield _case("as many calls as text", made(times), said(times))
    empty = ["", {"content": "", "reasoning": "Hm."}]
    yield _case("calls against nothing", made(1), empty)
    yield _case("talk before the call", [{**m, "content": "I look."} for m in made(3)], said(2))


def named(maker: Maker) -> Iterator[Case]:
    """tool_choice names a function; most call another."""
    for tool, other in (("read", "search"), ("plan", "read"), ("send", "write")):
        same = maker.arguments(tool)
        right = [calls(call(tool, maker.spelled(tool, same))) for _ in range(2)]
        wrong = calls(call(other, maker.arguments(other)))
        demands = {"tool_choice": {"type": "function", "function": {"name": tool}}}
        yield _case(f"{tool} is named", right, [wrong] * 3, demands=demands)


def parallel(maker: Maker) -> Iterator[Case]:
    """Several calls at once: in any order, none missing, none too many, none twice."""
    for tools in (("read", "read"), ("read", "search"), ("read", "read", "plan")):
        made = [(tool, maker.arguments(tool)) for tool in tools]

        def several(made: Sequence[tuple[str, Arguments]]) -> dict[str, Any]:
            return calls(*[call(tool, maker.spelled(tool, said)) for tool, said in made])

        extra = [*made, ("search", maker.arguments("search"))]
        other = [*made[:-1], (made[-1][0], maker.arguments(made[-1][0]))]
        faults = {
            "missing": made[:-1],
            "extra": extra,
            "doubled": [*made, made[0]],
            "other": other,
        }
        right = [several(made), several(made[::-1]), several(made)]
        label = "+".join(tools)
        for fault, wrong in faults.items():
            yield _case(f"{label}, {fault}", right, [several(wrong)] * 2)
            yield _case(f"{label}, {fault}", right[:2], [several(wrong)])
        mixed = [several(wrong) for wrong in faults.values()]
        yield _case(f"{label}, every fault", right, mixed)
        yield _case(f"{label}, every fault twice", [*right, several(made)], mixed)
        one = {"parallel_tool_calls": False}
        single = [several(made[:1]) for _ in range(2)]
        yield _case(f"{label} where one is wanted", single, right, demands=one)


def long_texts(maker: Maker) -> Iterator[Case]:
    """Everybody has another word wrong; the text that is most like all others wins."""
    for n in (3, 4, 5, 6, 8):
        to, wrong = maker.word(), []
        for at in range(n - 1):
            words = PROSE.split()
            words[at * 3 + 1] = maker.word().upper()
            wrong.append(calls(call("send", {"to": to, "message": " ".join(words)})))
        right = [calls(call("send", {"message": PROSE, "to": to}))]
        yield _case("a long text", right, wrong)


PROGRAM = '''def total(items, start=0):
    """Sum of the sizes."""
    result = start
    for item in items:
        result += item.size
    return result
'''
SAME_PROGRAM = [
    PROGRAM,
    PROGRAM.replace("    ", "  "),
    PROGRAM.replace("result", "found").replace('    """Sum of the sizes."""\n', ""),
    PROGRAM.replace("= start", "=  start  # so far").rstrip() + "\n\n",
    PROGRAM.replace("item.size", "(item.size)").replace("\n", "\r\n"),
]
OTHER_PROGRAM = PROGRAM.replace("+=", "-=")


def programs(maker: Maker) -> Iterator[Case]:
    """Arguments that hold code: equal is what does the same."""
    for n in (3, 4, 5):
        path = f"{maker.word()}.py"
        right = [
            calls(call("write", {"path": path, "content": source})) for source in SAME_PROGRAM[:n]
        ]
        wrong = [calls(call("write", {"content": OTHER_PROGRAM, "path": path}))] * min(n - 1, 3)
        yield _case("code", right, wrong)
    versions = [
        '{"name": "x", "size": 2}',
        '{"size":2.0,\n "name":"x"}',
        '{ "name":"x","size": 2 }',
    ]
    right = [calls(call("write", {"path": "a.json", "content": text})) for text in versions]
    wrong = [calls(call("write", {"path": "a.json", "content": '{"name": "y", "size": 2}'}))] * 2
    yield _case("a JSON file", right, wrong)


def empty_arguments(maker: Maker) -> Iterator[Case]:
    """No arguments at all are an empty object."""
    right = [calls(call("ping", text)) for text in ("", "{}", " { } ", "{\n}")]
    other = calls(call("read", maker.arguments("read")))
    yield _case("no arguments", right[:2], [other])
    yield _case("no arguments", right, [other] * 3)
    yield _case("no arguments, but wrong ones", right[:2], [calls(call("ping", "[]"))] * 3)
    yield _case("no arguments, but more", right[:1], [calls(call("ping", {"a": 1}))] * 3)


def odd_values(maker: Maker) -> Iterator[Case]:
    """Numbers and letters that a careless parser takes for each other, or for different."""

    def read(offset: str, path: str = "a") -> dict[str, Any]:
        return calls(call("read", f'{{"path": "{path}", "offset": {offset}}}'))

    big = "9007199254740993"
    yield _case("a big number", [read(big)] * 3, [read("9007199254740992")] * 2)
    yield _case("a huge number", [read("1" + "0" * 30)] * 2, [read("1" + "0" * 29 + "1")])
    yield _case("zero", [read("0"), read("-0"), read("0.0")], [read("1")] * 2)
    exponents = [read("1000"), read("1e3"), read("1.0E+3")]
    yield _case("an exponent", exponents, [read("100")] * 2)
    composed = [read("1", "caf\u00e9"), read("1", "caf\\u00e9"), read("1", "cafe\u0301")]
    yield _case("an accent", composed, [read("1", "cafe")] * 2)
    smile = [read("1", "\U0001f600"), read("1", "\\ud83d\\ude00"), read("1", "./\U0001f600")]
    yield _case("a smile", smile, [read("1", "\U0001f601")] * 2)
    yield _case("upper case", [read("1", "Readme")] * 2, [read("1", "README")])
    yield _case("a parent folder", [read("1", "../a")] * 2, [read("1", "a")])


def nothing(maker: Maker) -> Iterator[Case]:
    """Left out, null, and the default."""
    base = maker.arguments("read")
    spelled = [base, {**base, "note": None}, {**base, "limit": 2000}, {**base, "encoding": "utf-8"}]
    same = [calls(call("read", said)) for said in spelled]
    other = calls(call("read", {**base, "limit": 10}))
    yield _case("defaults", same, [other] * 3)
    yield _case("defaults", same[:2], [other])
    noted = calls(call("read", {**base, "note": "x"}))
    yield _case("null is nothing", same[:2], [noted])
    yield _case("null is not a word", [noted] * 2, same[:1])


def ties(maker: Maker) -> Iterator[Case]:
    """As many for the one as for the other: either, but none that is broken."""
    for tool in ("read", "search", "plan"):
        one, other = (calls(call(tool, maker.arguments(tool))) for _ in range(2))
        broken = calls(call(tool, maker.faulty(tool, "cut", maker.arguments(tool))))
        yield _case(f"a tie in {tool}", [one, other], [], agree=1)
        yield _case(f"a tie in {tool}", [one, one, other, other], [], agree=2)
        yield _case(f"a tie and a fault in {tool}", [one, other], [broken] * 2, agree=1)


def cut_off(maker: Maker) -> Iterator[Case]:
    """An answer that ran into the limit loses to one that ended."""
    for tool in ("read", "plan"):
        same = maker.arguments(tool)
        cut = maker.faulty(tool, "cut", maker.arguments(tool))
        wrong = [calls(call(tool, cut), finish_reason="length")] * 3
        yield _case(f"cut off in {tool}", [calls(call(tool, same))], wrong)


def only_faults(maker: Maker) -> Iterator[Case]:
    """Where none keeps the rules: the client learns of a call that was only offered, and gets an
    error for one that was demanded."""
    wrong = [calls(call("read", {"offset": maker.number()})) for _ in range(3)]
    yield _case("only faults", wrong, [], agree=None, for_chat=True)
    no_tool = [calls(call("nope", {}))] * 3
    yield _case("only unknown functions", no_tool, [], agree=None, for_chat=True)
    refused = {"demands": {"tool_choice": "required"}, "for_chat": True, "status": 422}
    yield _case("only faults where a call is demanded", [], wrong, agree=None, **refused)
    yield _case("only text where a call is demanded", [], list(DONE), agree=None, **refused)


def documents(maker: Maker) -> Iterator[Case]:
    """The same of answers in JSON, by the schema of response_format."""
    for tool in ("read", "search", "plan"):
        form = {"name": tool, "schema": PARAMETERS[tool]}
        more: dict[str, Any] = {
            "demands": {"response_format": {"type": "json_schema", "json_schema": form}},
            "for_chat": True,
        }
        same = maker.arguments(tool)
        right = [maker.spelled(tool, same) for _ in range(3)]
        other = [json.dumps(maker.arguments(tool)) for _ in range(3)]
        yield _case(f"a majority of JSON of {tool}", right, other[:2], **more)
        yield _case(f"a few agree in JSON of {tool}", right[:2], other, **more)
        for fault in ("missing", "type", "cut", "more"):
            wrong = maker.faulty(tool, fault, maker.arguments(tool))
            yield _case(f"{fault} in JSON of {tool}", right[:2], [wrong] * 3, **more)
        talk = f"Sure, here it is: {other[0]}"
        yield _case(f"talk around JSON of {tool}", right[:2], [talk] * 3, **more)
        one_off = [json.dumps({**same, k: maker.arguments(tool)[k]}) for k in same]
        yield _case(f"JSON field by field of {tool}", right[:1], one_off, **more)


PATTERNS: tuple[Callable[[Maker], Iterator[Case]], ...] = (
    *(majority, spelling, plurality, by_argument, not_the_plurality, breaking, unknown, functions),
    *(text_or_calls, named, parallel, long_texts, programs, empty_arguments, odd_values, nothing),
    *(ties, cut_off, only_faults, documents),
)

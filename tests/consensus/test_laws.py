"""What holds for every vote, whatever the candidates say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.consensus import vote
from local_swarm.consensus.ballot import Standing, prepare
from local_swarm.consensus.reading.extract import Kind
from local_swarm.consensus.strategies.registry import STRATEGIES
from local_swarm.domain.candidate import Candidate, ToolCall

VOTES = ["auto", "ast", "fuzzy", "hybrid"]
SCORED = [*VOTES, "quality"]
PURE = [name for name in STRATEGIES if name != "execution"]
PROMPT = "def f(a, b):\n"
SNIPPETS = [
    "def f(a, b):\n    return a",
    "def f(x, y):\n    return x",
    "```python\ndef f(a, b):\n    return b\n```",
    "def f(a, b):\n    pass",
    "return a + b",
    "    c = a\n    return c",
    "def f(a, b:\n    return",
    "It adds both.",
    "it  adds BOTH.",
    "I do not know.",
    '{"a": 1}',
    '{"a": 1.0}',
    '{"error": 1}',
    "",
    "  \n",
    "<think>x</think>",
    "```js\nconst f = (a, b) => a;\n```",
    "```javascript\nfunction f(a, b) { return b; }\n```",
    "```go\nfunc f(a, b int) int { return a }\n```",
    "```bash\nset -e\nmake f\n```",
    "```json\n{\n```",
    "```python\ndef f(a, b):\n    return a\n```\n```bash\npython f.py\n```",
    "\U00020001\U000f0001",
]


def nested(opening: str, last: str, times: int) -> str:
    lines = [" " * at + line for at in range(times) for line in opening.split("\n")]
    return "def f(y):\n " + "\n ".join([*lines, " " * times + last])


BOMBS = [  # what takes a compiler gigabytes, or its life
    nested("try: return 1\nfinally:", "pass", 22),
    nested("try: return 1\nfinally:", "pass", 60),
    nested("for x in y:\n try: continue\n finally: g()", "pass", 19),
    nested("try:\n try: return\n except* E: g()\nfinally:", "return", 30),
    "z = " + "[" * 60 + "x" + " for x in y]" * 60,
    "z = " + "[a for b in c if " * 60 + "d" + "]" * 60,
    "z = " + "{a: b for c in d if " * 40 + "e" + "}" * 40,
    "with " + ", ".join(["a"] * 20) + ": z = " + "[" * 9 + "x" + " for x in y]" * 9,
    nested("with a:", "z = " + "[" * 9 + "x" + " for x in y]" * 9, 19),
    'x = "a" * 10**9',
    "x = 10**10**8",
    "x = 1 << 10**10",
    "x = ((((1,) * 250) * 250) * 250) * 250",
    'x = "%1000000000d" % 1',
    "x = " + 'f"{' * 90,
    "x = " + "{1: " * 150,
    "f(**{" * 60,
    "match x:\n case " + "[" * 150 + "a" + "]" * 150 + ": pass",
]
HOSTILE = [
    *BOMBS,
    "(" * 3000,
    "[" * 3000 + "]" * 3000,
    "x = " + "-" * 3000 + "1",
    "a" + ".b" * 3000,
    "x = " + "1 + " * 3000 + "1",
    "9" * 6000,
    "x = " + "9" * 6000,
    "x = 0x" + "f" * 6000,
    "def f():\n    return '\ud800'",
    "def f():\0",
    "if x:\n" + "".join(" " * i + "if x:\n" for i in range(1, 150)),
    "x = '\\d' is 1",
    "assert (1, 'x')",
    "# coding: klingon\ndef f(): pass",
    "from __future__ import braces",
    "```" * 500,
    "<think>" * 500,
    "def f(a, a): pass",
    "def f():\n    x = 1\n    global x",
    "class C[T]: pass",
    "try: pass\nexcept* E as e: pass",
    "{" * 300,
    '{"a": 1e999, "b": ' + "1" * 5000 + "}",
]

chars = st.characters()  # surrogates and NUL among them
texts = st.one_of(st.sampled_from(SNIPPETS), st.sampled_from(HOSTILE), st.text(chars, max_size=40))
calls = st.builds(
    Candidate,
    st.just(""),
    st.lists(
        st.builds(
            ToolCall,
            st.text(max_size=3),
            st.sampled_from(["ls", "cat"]),
            st.sampled_from(["{}", "", '{"a": 1}', '{"a":1.0}', "{", "[[["]),
        ),
        max_size=2,
    ).map(tuple),
)
answers = st.one_of(
    st.builds(
        Candidate,
        texts,
        finish_reason=st.sampled_from([None, "stop", "length"]),
        elapsed_s=st.floats(0, 9),
    ),
    calls,
)
ballots = st.lists(answers, min_size=1, max_size=7)


@pytest.mark.parametrize("strategy", PURE)
@settings(max_examples=60, deadline=None)
@given(ballots, st.one_of(st.just(PROMPT), st.text(max_size=20)))
def test_the_winner_is_a_candidate_and_the_clusters_partition_them(
    strategy: str, candidates: list[Candidate], prompt: str
) -> None:
    verdict = vote(prompt, candidates, strategy=strategy)
    assert verdict == vote(prompt, candidates, strategy=strategy)
    assert 0 <= verdict.index < len(candidates)
    assert sorted(sum(verdict.clusters, ())) == [*range(len(candidates))]
    assert [*map(len, verdict.clusters)] == sorted(map(len, verdict.clusters), reverse=True)
    assert all(list(cluster) == sorted(cluster) for cluster in verdict.clusters)
    own = next(cluster for cluster in verdict.clusters if verdict.index in cluster)
    assert verdict.agreement == len(own) / len(candidates)
    assert 0 <= verdict.confidence <= 1
    assert verdict.strategy == strategy
    assert all(verdict.reasons)


@pytest.mark.parametrize("strategy", SCORED)
@settings(max_examples=80, deadline=None)
@given(st.data(), ballots)
def test_the_order_of_arrival_does_not_matter(
    strategy: str, data: st.DataObject, candidates: list[Candidate]
) -> None:
    shuffled = data.draw(st.permutations(candidates))
    one = vote(PROMPT, candidates, strategy=strategy)
    other = vote(PROMPT, shuffled, strategy=strategy)
    before, after = candidates[one.index], shuffled[other.index]
    assert (before.text, before.tool_calls) == (after.text, after.tool_calls)
    assert (one.agreement, one.confidence) == (other.agreement, other.confidence)


@pytest.mark.parametrize("strategy", SCORED)
@settings(max_examples=80, deadline=None)
@given(st.data(), ballots)
def test_a_copy_of_the_winner_never_unseats_it(
    strategy: str, data: st.DataObject, candidates: list[Candidate]
) -> None:
    winner = candidates[vote(PROMPT, candidates, strategy=strategy).index]
    place = data.draw(st.integers(0, len(candidates)))
    more = [*candidates[:place], winner, *candidates[place:]]
    after = more[vote(PROMPT, more, strategy=strategy).index]
    assert (after.text, after.tool_calls) == (winner.text, winner.tool_calls)


@pytest.mark.parametrize("strategy", VOTES)
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(SNIPPETS[:6]), min_size=1, max_size=7), st.data())
def test_a_strict_majority_of_equal_sound_answers_wins(
    strategy: str, others: list[str], data: st.DataObject
) -> None:
    spellings = st.sampled_from(["def f(p, q):\n    return p * q", "return a * b"])
    size = len(others) + 1
    majority = data.draw(st.lists(spellings, min_size=size, max_size=size))
    candidates = data.draw(st.permutations([*others, *majority]))
    verdict = vote(PROMPT, candidates, strategy=strategy)
    assert candidates[verdict.index] in majority
    assert verdict.agreement > 0.5


MAJORITIES = [
    ["def f(p, q):\n    return p * q", "return a * b"],
    [
        "```js\nconst f = (p, q) => p * q;\n```",
        "Here:\n~~~javascript\nconst f = (p, q) =>  p * q;\n~~~",
    ],
    ["```sh\nmake all\n```", "```bash\nmake  all\n\n```"],
    ['{"q": 1, "p": 2.0}', '```json\n{"p": 2, "q": 1}\n```'],
    ['{"error": "none"}', '{ "error":"none" }'],
    ["It is their product.", "it is\n their PRODUCT."],
    ["Error: it is gone", "error:  it is gone"],
    [
        Candidate("", (ToolCall("1", "mul", '{"p": 1}'),)),
        Candidate("", (ToolCall("2", "mul", '{"p":1.0}'),)),
    ],
]


@pytest.mark.parametrize("strategy", VOTES)
@settings(max_examples=120, deadline=None)
@given(ballots, st.sampled_from(MAJORITIES), st.data())
def test_a_strict_majority_wins_whatever_it_is(
    strategy: str, others: list[Candidate], spellings: list[str | Candidate], data: st.DataObject
) -> None:
    size = len(others) + 1
    majority = data.draw(st.lists(st.sampled_from(spellings), min_size=size, max_size=size))
    candidates = data.draw(st.permutations([*others, *majority]))
    verdict = vote(PROMPT, candidates, strategy=strategy)
    assert candidates[verdict.index] in majority


@settings(max_examples=80, deadline=None)
@given(ballots)
def test_what_does_not_parse_never_beats_what_does_in_ast(candidates: list[Candidate]) -> None:
    """Of the same language: most of the answers may be broken Python beside one of another."""
    entries = prepare(PROMPT, candidates).entries
    python = [e for e in entries if e.form.tokens and not e.answer.language]
    if any(e.answer.sound for e in python):
        winner = entries[vote(PROMPT, candidates, strategy="ast").index]
        is_python = winner.answer.kind is Kind.CODE and not winner.answer.language
        assert winner.answer.sound or not is_python


@pytest.mark.parametrize("strategy", PURE)
@settings(max_examples=40, deadline=None)
@given(ballots)
def test_nothing_said_never_beats_something(strategy: str, candidates: list[Candidate]) -> None:
    entries = prepare(PROMPT, candidates).entries
    winner = entries[vote(PROMPT, candidates, strategy=strategy).index]
    if any(entry.standing is not Standing.EMPTY for entry in entries):
        assert winner.standing is not Standing.EMPTY


@pytest.mark.parametrize("strategy", PURE)
def test_every_hostile_text_is_only_a_text(strategy: str) -> None:
    for prompt in ("", PROMPT, *HOSTILE):
        assert vote(prompt, [*HOSTILE, SNIPPETS[0]], strategy=strategy).clusters


@pytest.mark.skipif(sys.platform != "linux", reason="no limit on memory")
def test_no_source_takes_the_compiler_more_than_a_little_memory() -> None:
    code = (
        "import json, resource, sys\n"
        "from local_swarm.consensus import vote\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60))\n"
        "for text in json.load(sys.stdin): vote('def f(y):\\n', [text, text + '\\n'])\n"
        # Not ru_maxrss, which begins with what the process that forked this one had.
        "peak = next(x for x in open('/proc/self/status') if x.startswith('VmHWM'))\n"
        "print(int(peak.split()[1]) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(BOMBS), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200


def test_huge_candidates_are_voted_on_in_bounded_time() -> None:
    huge = ["word " * 200_000 + str(i) for i in range(4)] + ["x = 1\n" * 150_000]
    assert vote(PROMPT, huge).index in range(5)

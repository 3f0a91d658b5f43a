from __future__ import annotations

import random
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from local_swarm.consensus import STRATEGIES, Verdict, extract_code, vote
from local_swarm.domain.candidate import Candidate, ToolCall
from local_swarm.errors import UsageError

ADD = "def add(a, b):\n    return a + b"
ADD_TOO = '```python\ndef add(x: int, y: int) -> int:\n    """Sum."""\n    return x + y\n```'
SUB = "def add(a, b):\n    return a - b"
BROKEN = "def add(a, b):\n    return a +"


def call(arguments: str, name: str = "read") -> Candidate:
    return Candidate("", (ToolCall("x", name, arguments),))


def test_the_winner_comes_with_agreement_clusters_and_reasons() -> None:
    verdict = vote("", [SUB, ADD, ADD_TOO])
    assert isinstance(verdict, Verdict)
    assert verdict.index in (1, 2)
    assert verdict.agreement == pytest.approx(2 / 3)
    assert verdict.clusters == ((1, 2), (0,))
    assert verdict.strategy == "auto"
    assert verdict.reasons == (
        "3 of 3 answers are code.",
        "2 of 3 answers are the same program.",
    )


def test_one_candidate_wins_with_little_confidence() -> None:
    verdict = vote("", [ADD])
    assert (verdict.index, verdict.agreement, verdict.clusters) == (0, 1.0, ((0,),))
    assert verdict.confidence < 0.7
    assert verdict.reasons == ("There is only one answer.",)
    assert vote("", ["It is blue."]).confidence < 0.5


def test_no_candidates_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        vote("", [])


def test_an_unknown_strategy_names_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as raised:
        vote("", [ADD], strategy="fuzy")
    assert "Did you mean fuzzy?" in raised.value.hint
    assert all(name in raised.value.hint for name in STRATEGIES)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "execution"])
@pytest.mark.parametrize("empty", ["", " \n", "<think>hm</think>", "```\n```"])
def test_an_empty_answer_never_wins(strategy: str, empty: str) -> None:
    assert vote("", [empty, empty, ADD], strategy=strategy).index == 2


@pytest.mark.parametrize("strategy", ["auto", "ast", "fuzzy", "hybrid", "quality"])
def test_a_broken_answer_loses_to_a_sound_one(strategy: str) -> None:
    cut = Candidate(BROKEN, finish_reason="length")
    verdict = vote("", [cut, cut, ADD], strategy=strategy)
    assert verdict.index == 2
    assert "2 of 3 answers were broken or cut off." in verdict.reasons


@pytest.mark.parametrize("error", ["Error: slot gone", '{"error": {"message": "x"}}'])
def test_an_error_message_loses_to_an_answer(error: str) -> None:
    assert vote("", [error, "It is blue."], strategy="fuzzy").index == 1


def test_text_cut_off_loses_to_text_that_ended() -> None:
    assert vote("", [Candidate("It is", finish_reason="length"), "It is so."]).index == 1


@pytest.mark.parametrize("strategy", ["auto", "ast", "fuzzy"])
def test_of_equal_answers_one_that_ended_is_taken(strategy: str) -> None:
    cut = Candidate("It is so.", finish_reason="length")
    assert vote("", [cut, cut, "it is so."], strategy=strategy).index == 2


def test_ast_prefers_any_program_to_talk() -> None:
    assert vote("", ["I cannot.", "I can not.", ADD], strategy="ast").index == 2


def test_ast_does_not_trust_a_mere_plurality() -> None:
    loop = "def total(xs):\n    t = {}\n    for x in xs:\n        t += x\n    return t"
    alike = [loop.format("0"), loop.format("0.0"), loop.format("int()")]
    trivial = ["def total(xs): pass"] * 2
    assert vote("", [*trivial, *alike], strategy="ast").index >= 2


def test_tool_calls_are_compared_by_content() -> None:
    verdict = vote("", [call('{"p": "b"}'), call('{"p":"a","n":1}'), call('{"n": 1.0, "p": "a"}')])
    assert verdict.index in (1, 2)
    assert verdict.clusters == ((1, 2), (0,))


def test_most_answers_decide_between_a_call_and_text() -> None:
    assert vote("", ["Done.", call("{}"), call("{}")]).index == 1
    assert vote("", ["All done.", "Done.", call("{}")]).index in (0, 1)
    assert vote("", ["Done.", call("{}")]).index == 1


JS = "```js\nconst add = (a, b) => a + b;\n```"
JS_TOO = "Here:\n```javascript\nconst add = (a, b)  =>  a + b;\n\n```"
JS_ELSE = "```js\nfunction add(a, b) { return a - b; }\n```"
GO = "```go\nfunc add(a, b int) int { return a + b }\n```"


@pytest.mark.parametrize("strategy", ["auto", "ast"])
def test_code_of_another_language_wins_by_number(strategy: str) -> None:
    assert vote("", [ADD, JS, JS_TOO], strategy=strategy).index in (1, 2)
    assert vote("", [ADD, JS, JS_ELSE], strategy=strategy).index in (1, 2)
    assert vote("", [ADD, JS, GO, JS_ELSE], strategy=strategy).index in (1, 2, 3)
    assert vote("def add(a, b):\n", [ADD, JS, ADD_TOO], strategy=strategy).index in (0, 2)


@pytest.mark.parametrize("strategy", ["auto", "ast", "fuzzy"])
@pytest.mark.parametrize("said", ['{"error": 1}', "Error: no such file", "I cannot."])
def test_a_strict_majority_wins_whatever_it_says(strategy: str, said: str) -> None:
    assert vote("", [said, ADD, said, "", said, '{"a": 1}'], strategy=strategy).index in (0, 2, 4)


@pytest.mark.parametrize("strategy", ["auto", "ast", "fuzzy"])
def test_broken_answers_are_no_majority_against_a_whole_one_of_their_class(strategy: str) -> None:
    assert vote("", [BROKEN, BROKEN, BROKEN, ADD], strategy=strategy).index == 3
    assert vote("", [call("{"), call("{"), call("{}")], strategy=strategy).index == 2


def test_other_blocks_make_another_answer() -> None:
    texts = [f"```python\n{ADD}\n```\n```go\n{rest}\n```" for rest in ("f()", "g()", "g( )")]
    assert vote("", texts[:2]).agreement == 0.5
    assert vote("", [texts[0], texts[1], texts[1]]).index in (1, 2)


@pytest.mark.parametrize("strategy", ["auto", "ast"])
def test_raw_text_is_never_taken_for_a_tree(strategy: str) -> None:
    raw = [chr(start) * 40 for start in (0x20000, 0x20005, 0xF0000, 0xF0003)]
    texts = ["```\n" + text + "\n```" for text in raw] + [ADD, SUB, "def f(x): return x"]
    winners = set()
    for turn in range(30):
        random.Random(turn).shuffle(texts)
        winners.add(texts[vote("", texts, strategy=strategy).index])
    assert len(winners) == 1


def test_many_long_candidates_take_bounded_time() -> None:
    def program(seed: int) -> str:
        pick = random.Random(seed).randrange
        return "".join(f"def f{i}(x):\n    return x * {pick(99)} + {pick(9)}\n" for i in range(260))

    texts = [program(seed) for seed in range(32)]
    assert len(texts[0]) > 8_500
    begun = time.process_time()
    for strategy in ("ast", "fuzzy"):
        vote("", texts, strategy=strategy)
    assert time.process_time() - begun < 6  # a second or so on a machine of its own


def test_json_wins_by_equality() -> None:
    assert vote("", ['{"a": 2}', '{"a": 1}', '{"a":1.0}']).index == 1


def test_fuzzy_takes_the_answer_most_like_the_others() -> None:
    texts = ["The sky is blue.", "The sky is blue today.", "Bananas!", "The sky was blue today."]
    verdict = vote("", texts, strategy="fuzzy")
    assert verdict.index == 1
    assert verdict.agreement == 0.5
    assert sorted(i for cluster in verdict.clusters for i in cluster) == [0, 1, 2, 3]


def test_fastest_takes_the_first_to_arrive() -> None:
    candidates = [Candidate(SUB, elapsed_s=2), Candidate(ADD, elapsed_s=1)]
    assert vote("", candidates, strategy="fastest").index == 1
    same = [replace(candidate, elapsed_s=1) for candidate in candidates]
    assert vote("", same, strategy="fastest").index == 0


def test_off_takes_the_first() -> None:
    assert vote("", [SUB, ADD, ADD], strategy="off").index == 0


def test_a_body_agrees_with_the_whole_function() -> None:
    prompt = "def add(first, second):\n"
    assert vote(prompt, ["return first + second", ADD, SUB]).clusters[0] == (0, 1)


def test_importing_the_room_starts_nothing_heavy() -> None:
    code = "import sys, local_swarm.consensus; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for heavy in ("asyncio", "rapidfuzz", "numpy", "aiohttp", "threading"):
        assert f"'{heavy}'" not in loaded.stdout


def test_extract_code_gives_the_code_that_the_vote_compares() -> None:
    assert extract_code(f"Sure:\n```\n{ADD}\n```") == ADD
    assert extract_code("return a + b", "def add(a, b):\n") == ADD


def test_a_verdict_picks_its_winner_out_of_the_candidates() -> None:
    candidates = ["no idea", ADD, ADD]
    assert candidates[vote("", candidates)] == ADD

"""Voting by what programs do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm import sandbox
from local_swarm.consensus import Verdict, deliberate, vote
from local_swarm.consensus.execution.running import Told, confidence
from local_swarm.consensus.voting import without
from local_swarm.domain.evidence import Aid, Evidence, RunsWanted
from local_swarm.domain.execution import Ended, Job, Outcome, Report
from local_swarm.errors import UsageError

PLAIN = 'def total(xs):\n    """The sum of a list of numbers."""\n'
SHOWN = 'def total(xs):\n    """The sum of a list of numbers.\n    total([1, 2]) == 3\n    """\n'

SUM = "def total(xs):\n    return sum(xs)"
LOOP = "def total(xs):\n    t = 0\n    for x in xs:\n        t += x\n    return t"
FOLD = "import functools\ndef total(xs):\n    return functools.reduce(lambda a, b: a + b, xs, 0)"
SHORT = "def total(xs):\n    return sum(xs[1:])"
SHORTER = "def total(xs):\n    t = 0\n    for x in xs[1:]:\n        t = t + x\n    return t"
ONE = "def total(xs):\n    return 1"
RAISES = "def total(xs):\n    raise ValueError"
NAMELESS = "def tutal(xs):\n    return sum(xs)"
BROKEN = "def total(xs:\n    return sum(xs)"
DEAD = "import nowhere_at_all\ndef total(xs):\n    return sum(xs)"
PROGRAMS = (SUM, LOOP, FOLD, SHORT, SHORTER, ONE, RAISES, NAMELESS, BROKEN, DEAD)


def run(jobs: Sequence[Job | None]) -> tuple[Report, ...]:
    """Runs the programs of this file, which do no harm, in this process."""
    return tuple(Report(()) if job is None else _report(job) for job in jobs)


def _report(job: Job) -> Report:
    names: dict[str, object] = {}
    try:
        exec(job.source, names)
    except Exception as error:
        failed = Outcome(Ended.RAISED, type(error).__name__)
        return Report(tuple(Outcome(Ended.NOT_RUN) for _ in job.expressions), failed)
    return Report(tuple(_outcome(expression, names) for expression in job.expressions))


def _outcome(expression: str, names: dict[str, object]) -> Outcome:
    try:
        return Outcome(Ended.VALUE, repr(eval(expression, names)))
    except Exception as error:
        return Outcome(Ended.RAISED, type(error).__name__)


def decided(
    prompt: str,
    candidates: Sequence[str],
    strategy: str = "execution",
    written: tuple[str, ...] = (),
) -> Verdict:
    evidence = Evidence(able=frozenset({Aid.RUNS}), written=written)
    found = deliberate(prompt, candidates, strategy=strategy, evidence=evidence)
    if isinstance(found, RunsWanted):
        told = Evidence(able=evidence.able, written=written, runs=run(found.jobs))
        found = deliberate(prompt, candidates, strategy=strategy, evidence=told)
    assert isinstance(found, Verdict)
    return found


def wanted(prompt: str, candidates: Sequence[str], written: tuple[str, ...] = ()) -> RunsWanted:
    evidence = Evidence(able=frozenset({Aid.RUNS}), written=written)
    found = deliberate(prompt, candidates, evidence=evidence)
    assert isinstance(found, RunsWanted)
    return found


def test_programs_that_do_the_same_speak_for_each_other() -> None:
    candidates = [SHORT, SUM, ONE, LOOP, RAISES, FOLD]
    verdict = decided(PLAIN, candidates)
    assert candidates[verdict.index] in (SUM, LOOP, FOLD)
    assert verdict.agreement == 0.5
    assert verdict.clusters[0] == (1, 3, 5)
    assert verdict.strategy == "execution"


def test_an_example_in_the_prompt_beats_a_majority() -> None:
    candidates = [SHORT, SHORTER, SHORT, SUM]
    assert candidates[decided(PLAIN, candidates).index] != SUM
    verdict = decided(SHOWN, candidates)
    assert verdict.index == 3
    assert "It passes 1 of 1 examples in the prompt." in verdict.reasons


def test_an_example_that_nobody_passes_is_taken_for_a_mistake() -> None:
    prompt = SHOWN.replace("== 3", "== 300")
    assert decided(prompt, [SHORT, SUM, LOOP]).index in (1, 2)


def test_the_same_program_is_run_once() -> None:
    jobs = wanted(PLAIN, [SUM, SUM.replace("xs", "numbers"), LOOP]).jobs
    assert sum(job is not None for job in jobs) == 2


def test_code_that_the_prompt_gives_is_there_when_a_program_runs() -> None:
    prompt = f"import math\n\n\ndef half(x):\n    return x / 2\n\n\n{PLAIN}"
    uses = "def total(xs):\n    return half(math.fsum(xs)) * 2"
    verdict = decided(prompt, [uses, SUM, SHORT])
    assert verdict.clusters[0] == (0, 1)


def test_calls_that_workers_wrote_are_tried() -> None:
    told = ("total([5, 6])", "total(open('x'))", "tutal([5])", "no call", "total([5, 6])")
    jobs = [job for job in wanted(PLAIN, [SUM, SHORT], told).jobs if job is not None]
    tried = jobs[0].expressions
    assert tried[0] == "total([5, 6])"
    assert not any("open" in call or "tutal" in call for call in tried)


def test_a_chat_prompt_is_enough() -> None:
    prompt = "Please write a function `total` that sums a list. For example `total([4])` returns 4."
    fenced = [f"Sure!\n\n```python\n{one}\n```\n" for one in (SHORT, SUM, LOOP, SHORT)]
    assert decided(prompt, fenced).index in (1, 2)


@pytest.mark.parametrize(
    "candidates",
    [
        ["Use a loop.", "Use sum.", SUM],
        ['{"a": 1}', '{"a": 1}', '{"a": 2}'],
        [BROKEN, BROKEN, SUM],
        ["import random\ndef total(xs):\n    return random.random()"] * 2 + [SUM],
        ["class Total:\n    pass", "class Total:\n    x = 1", "class Total:\n    x = 2"],
        [SUM, SUM],
        ["```go\nfunc total() {}\n```", "```go\nfunc total() { }\n```", SUM],
    ],
)
def test_what_cannot_be_run_is_decided_as_ever(candidates: list[str]) -> None:
    found = deliberate(PLAIN, candidates, evidence=Evidence(able=frozenset({Aid.RUNS})))
    assert found == deliberate(PLAIN, candidates)


@pytest.mark.parametrize("header", ["def scaled(x, *, by=2):", "def scaled(x, **options):"])
def test_arguments_that_only_go_by_name_may_be_left_out(header: str) -> None:
    prompt = f'{header}\n    """x by a factor. scaled(3) == 6"""\n'
    candidates = [f"{header}\n    return {body}" for body in ("x + 2", "2 + x", "x * 2")]
    assert decided(prompt, candidates).index == 2


def test_an_example_may_give_them() -> None:
    header = "def scaled(x, *, by=2):"
    prompt = f'{header}\n    """x by a factor.\n    >>> scaled(3, by=4)\n    12\n    """\n'
    candidates = [f"{header}\n    return {body}" for body in ("x + by", "by + x", "x * by")]
    verdict = decided(prompt, candidates)
    assert verdict.index == 2
    assert "It passes 1 of 1 examples in the prompt." in verdict.reasons


@pytest.mark.parametrize(
    "prompt", ["class A:\n    def f(self, x):\n", "async def f(x):\n", "def g(x, *, k):\n", "Hi."]
)
def test_no_function_to_call_is_decided_as_ever(prompt: str) -> None:
    candidates = ["def g(x):\n    return 1", "def h(x):\n    return 2"]
    found = deliberate(prompt, candidates, evidence=Evidence(able=frozenset({Aid.RUNS})))
    assert found == deliberate(prompt, candidates)


FOREIGN = [
    f"```{language}\n{code}\n```"
    for language, code in [
        ("js", "function total(a) { return a; }"),
        ("js", "function total(a) { return 0; }"),
        ("go", "func total() {}"),
        ("go", "func total() int { return 1 }"),
    ]
]


def test_programs_run_where_no_other_language_has_as_many() -> None:
    """Whether they are run must not depend on how many times the winner is there."""
    programs = [LOOP, FOLD, DEAD]
    once = [*FOREIGN, *programs]
    for more in ([], [DEAD], [LOOP]):
        every = [*once, *more]
        assert every[decided(PLAIN, every).index] in (LOOP, FOLD)
    most = [*FOREIGN[:2], FOREIGN[0], LOOP, DEAD]
    assert most[decided(PLAIN, most).index] in FOREIGN


def test_runs_that_cannot_be_had_are_done_without() -> None:
    runs = wanted(PLAIN, [SUM, SHORT, LOOP])
    evidence = without(Evidence(able=frozenset({Aid.RUNS})), runs)
    candidates = [SUM, SHORT, LOOP]
    assert deliberate(PLAIN, candidates, evidence=evidence) == deliberate(PLAIN, candidates)


def test_programs_that_answer_differently_each_time_are_decided_as_ever() -> None:
    def counting(step: int) -> str:
        return f"calls = []\ndef total(xs):\n    calls.append(1)\n    return len(calls) * {step}"

    candidates = [counting(1), counting(2), counting(3)]
    found = decided(PLAIN, candidates, "auto")
    assert found == deliberate(PLAIN, candidates)


def test_reports_that_make_no_sense_do_no_harm() -> None:
    candidates = [SUM, SHORT, LOOP]
    odd = (Report(()), Report((Outcome(Ended.VALUE, "((("),) * 500), Report(()))
    found = deliberate(PLAIN, candidates, evidence=Evidence(runs=odd))
    assert isinstance(found, Verdict)


pools = st.lists(st.sampled_from(PROGRAMS), min_size=1, max_size=8)
prompts = st.sampled_from((PLAIN, SHOWN))


@given(prompts, pools, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_says_nothing(
    prompt: str, pool: list[str], rng: object
) -> None:
    first = decided(prompt, pool)
    mixed = list(pool)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    second = decided(prompt, mixed)
    assert (pool[first.index], first.agreement) == (mixed[second.index], second.agreement)


@given(prompts, pools)
def test_a_copy_of_the_winner_never_unseats_it(prompt: str, pool: list[str]) -> None:
    won = pool[decided(prompt, pool).index]
    again = [*pool, won]
    assert again[decided(prompt, again).index] == won


@given(prompts, pools)
def test_what_does_not_compile_wins_only_among_its_like(prompt: str, pool: list[str]) -> None:
    won = pool[decided(prompt, pool).index]
    assert won != BROKEN or set(pool) == {BROKEN}


def test_execution_is_asked_for_in_words() -> None:
    with pytest.raises(UsageError, match="execution"):
        vote(PLAIN, [SUM, LOOP], strategy="execution")


@pytest.mark.skipif(sandbox.unavailable() is not None, reason=f"{sandbox.unavailable()}")
def test_programs_are_run_in_the_sandbox() -> None:
    candidates = [SHORT, SUM, ONE, LOOP, RAISES, FOLD, BROKEN, "while True:\n    pass"]
    for strategy in ("auto", "execution"):
        verdict = vote(PLAIN, candidates, strategy=strategy, execute=True)
        assert candidates[verdict.index] in (SUM, LOOP, FOLD)
        assert verdict.clusters[0] == (1, 3, 5)


@pytest.mark.skipif(sandbox.unavailable() is not None, reason=f"{sandbox.unavailable()}")
def test_programs_too_slow_for_some_calls_are_compared_by_the_others() -> None:
    prompt = 'def fib(n):\n    """The n-th Fibonacci number, n an integer."""\n'
    slow = "def fib(n):\n    return {} if n < 2 else fib(n - 1) + fib(n - 2)"
    steps = "    for _ in range(n):\n        a, b = b, a + b\n    return a"
    candidates = [slow.format("1"), slow.format("n"), f"def fib(n):\n    a, b = 0, 1\n{steps}"]
    candidates.append(slow.format("max(n, 0)"))
    verdict = vote(prompt, candidates, execute=True)
    assert verdict.index != 0
    assert "programs do the same" in verdict.reasons[1]


@pytest.mark.skipif(sandbox.unavailable() is not None, reason=f"{sandbox.unavailable()}")
def test_a_vote_with_execution_is_deterministic() -> None:
    candidates = [SHORT, SUM, ONE, SHORTER, LOOP]
    assert len({vote(SHOWN, candidates, execute=True) for _ in range(3)}) == 1


def test_confidence_grows_with_agreement_and_with_passed_examples() -> None:
    for told in Told:
        sure = [confidence(agreeing, 8, told) for agreeing in range(1, 9)]
        assert sure == sorted(sure)
        assert 0.0 < sure[0] < sure[-1] < 1.0
    candidates = [SUM, LOOP, FOLD, SHORT]
    plain, shown = decided(PLAIN, candidates), decided(SHOWN, candidates)
    wrong = decided(SHOWN, [SHORT, SHORTER, ONE, ONE])
    assert wrong.confidence < plain.confidence < shown.confidence


def told(prompt: str, outcomes: dict[str, Callable[[int], str]]) -> str:
    """Who wins among programs of which the first, second, ... call gives what is said here."""
    candidates = [*outcomes]
    able = Evidence(able=frozenset({Aid.RUNS}))
    runs = deliberate(prompt, candidates, evidence=able)
    assert isinstance(runs, RunsWanted)
    reports = []
    for job, gives in zip(runs.jobs, outcomes.values(), strict=True):
        calls = [*dict.fromkeys(job.expressions if job is not None else ())]
        known = {call: Outcome(Ended.VALUE, gives(at)) for at, call in enumerate(calls)}
        reports.append(Report(tuple(known[call] for call in (job.expressions if job else ()))))
    found = deliberate(prompt, candidates, evidence=Evidence(runs=tuple(reports)))
    assert isinstance(found, Verdict)
    return candidates[found.index]


def adding(number: int) -> str:
    return f"def total(xs):\n    return sum(xs) + {number}"


@pytest.mark.parametrize(("winner", "loser"), [(1, 2), (2, 1)])
def test_a_program_that_gives_always_the_same_loses_a_tie(winner: int, loser: int) -> None:
    won = told(PLAIN, {adding(winner): str, adding(loser): lambda at: "7"})
    assert won == adding(winner)


@pytest.mark.parametrize(("winner", "loser"), [(1, 2), (2, 1)])
def test_a_program_that_often_gives_nothing_loses_a_tie(winner: int, loser: int) -> None:
    silent = told(PLAIN, {adding(winner): str, adding(loser): lambda at: "None" if at % 2 else "1"})
    assert silent == adding(winner)


def test_to_do_half_the_same_as_many_is_less_than_to_do_all_the_same_as_one() -> None:
    """A quarter of a voice each."""
    halves: list[Callable[[int], bool]] = [
        lambda at: at % 2 == 0,
        lambda at: at % 2 == 1,
        lambda at: at % 4 < 2,
    ]
    outcomes: dict[str, Callable[[int], str]] = {adding(0): lambda at: f"'{at}'"}
    for number, is_shared in enumerate(halves, 1):
        outcomes[adding(number)] = lambda at, number=number, shared=is_shared: (  # type: ignore[misc]
            f"'{at}'" if shared(at) else f"'{at} {number}'"
        )
    twins = {adding(8): lambda at: f"[{at}]", adding(9): lambda at: f"[{at}]"}
    assert told(PLAIN, {**outcomes, **twins}) in twins


def test_all_examples_must_be_passed() -> None:
    prompt = SHOWN.replace("total([1, 2]) == 3", "total([0, 2]) == 2\n    total([1, 2]) == 3")
    candidates = [*[SHORT] * 4, *[SHORTER] * 3, SUM]
    assert decided(prompt, candidates).index == 7


def test_an_example_that_is_not_trusted_settles_a_tie() -> None:
    prompt = SHOWN.replace("total([1, 2]) == 3", "total([1, 2]) is 3 or so")
    assert decided(prompt, [SHORT, SHORTER, SUM, LOOP]).index in (2, 3)
    other = prompt.replace("is 3", "is 2")
    assert decided(other, [SHORT, SHORTER, SUM, LOOP]).index in (0, 1)


def test_what_programs_do_counts_more_than_how_they_look() -> None:
    alike = [f"def total(xs):\n    return sum(xs[{at}])" for at in ("1:", "2:", "3:", ":1", ":2")]
    candidates = [*alike, LOOP, FOLD]
    assert candidates[decided(PLAIN, candidates).index] in (LOOP, FOLD)


def test_of_programs_that_do_the_same_the_usual_one_is_taken() -> None:
    loops = [LOOP.replace("t += x", f"t += x + {at} - {at}") for at in range(1, 4)]
    sums = [SUM.replace("sum(xs)", f"sum(xs) + {at} - {at}") for at in range(1, 4)]
    for usual, odd in ((loops, SUM), (sums, LOOP)):
        assert decided(PLAIN, [odd, *usual]).index > 0


def test_of_programs_that_do_the_same_one_that_runs_as_it_is_is_taken() -> None:
    for whole in (f"{SUM} + 0", SUM.replace("sum", "0 + sum"), SUM.replace("return ", "return +")):
        glued = SUM.replace("\n    ", "\n")
        assert decided(PLAIN, [glued, whole]).index == 1

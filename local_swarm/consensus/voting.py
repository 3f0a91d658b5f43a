"""The facade of the room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from local_swarm.consensus.ballot import prepare
from local_swarm.consensus.reading.extract import extract
from local_swarm.consensus.reading.repair import find_header
from local_swarm.consensus.strategies.registry import find
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.evidence import Aid, Evidence, JudgementWanted, RunsWanted, Wanted
from local_swarm.domain.execution import Job, Report
from local_swarm.domain.rules import Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import UsageError


def vote(
    prompt: str,
    candidates: Sequence[str | Candidate],
    *,
    strategy: str = "auto",
    execute: bool = False,
) -> Verdict:
    """Choose the best-supported of several answers to `prompt`. With `execute`, Python functions
    are compared by what they do: they are run in the sandbox (see `local_swarm.sandbox`).

    Empty answers never win against others. Python that does not compile, JSON and arguments of a
    call that do not parse never win against whole answers of the same class.

    Pure and deterministic without `execute`: no I/O, no candidate's code is run, the same input
    gives the same verdict; but for `fastest` and `off` the order of the candidates does not matter
    either. Takes milliseconds for usual answers and bounded time for any; it blocks, so call it
    off an event loop. Raises ValueError without candidates, UsageError for an unknown strategy or
    where `execute` finds no safe sandbox, SandboxUnavailable where its processes have died and
    cannot be begun again; never because of what a candidate says.
    """
    run = _runner(execute, strategy)
    ballot = prepare(prompt, candidates)
    decide = find(strategy)
    evidence = Evidence(able=frozenset({Aid.RUNS})) if run is not None else Evidence()
    while True:
        found = decide(replace(ballot, evidence=evidence))
        if isinstance(found, Verdict):
            return found
        if isinstance(found, RunsWanted) and run is not None:
            evidence = replace(evidence, runs=_reports(found, run))
        else:
            evidence = without(evidence, found)


Runner = Callable[[Sequence[Job]], Sequence[Report]]


def _runner(execute: bool, strategy: str) -> Runner | None:
    """Raises UsageError where programs are to be run and cannot be."""
    if not execute:
        if strategy == "execution":
            raise UsageError(
                "The strategy execution runs the candidates' code.",
                hint="Call vote with execute=True, or take another strategy.",
            )
        return None
    from local_swarm import sandbox  # it begins processes, and most votes never need one

    if (reason := sandbox.unavailable()) is not None:
        raise UsageError(
            f"The candidates' code cannot be run safely here: {reason}",
            hint="Vote without execute=True.",
        )
    return sandbox.shared().run


def _reports(wanted: RunsWanted, run: Runner) -> tuple[Report, ...]:
    """One for each candidate; an empty one where there was nothing to run."""
    reports = iter(run([job for job in wanted.jobs if job is not None]))
    return tuple(Report(()) if job is None else next(reports) for job in wanted.jobs)


def deliberate(
    prompt: str,
    candidates: Sequence[str | Candidate],
    *,
    strategy: str = "auto",
    rules: Rules | None = None,
    evidence: Evidence | None = None,
) -> Verdict | Wanted:
    """One step of a vote, always pure: the verdict, or what must be found out first (only what
    `evidence.able` names). Raises like `vote`."""
    return find(strategy)(prepare(prompt, candidates, rules, evidence))


def without(evidence: Evidence, wanted: Wanted) -> Evidence:
    """The evidence when what is wanted cannot be had."""
    if isinstance(wanted, RunsWanted):
        missing = Aid.RUNS
    else:
        missing = Aid.JUDGEMENT if isinstance(wanted, JudgementWanted) else Aid.VECTORS
    return replace(evidence, able=evidence.able - {missing})


def extract_code(text: str, prompt: str = "") -> str:
    """The answer in what a model wrote, as a vote sees it: no reasoning, fences or talk around
    it, a bare body put under the function header of the prompt. Never raises."""
    return extract(Candidate(text), find_header(prompt)).text

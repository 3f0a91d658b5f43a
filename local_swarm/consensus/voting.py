"""The facade of the room."""

from __future__ import annotations

from collections.abc import Sequence

from local_swarm.consensus.ballot import prepare
from local_swarm.consensus.extract import extract
from local_swarm.consensus.repair import find_header
from local_swarm.consensus.strategies.registry import find
from local_swarm.domain.candidate import Candidate
from local_swarm.domain.verdict import Verdict
from local_swarm.errors import UsageError


def vote(
    prompt: str,
    candidates: Sequence[str | Candidate],
    *,
    strategy: str = "auto",
    execute: bool = False,
) -> Verdict:
    """Choose the best-supported of several answers to `prompt`.

    Pure and deterministic: no I/O, no candidate's code is run, the same input gives the same
    verdict; but for `fastest` and `off` the order of the candidates does not matter either. Takes
    milliseconds for usual answers and bounded time for any; it blocks, so call it off an event
    loop. Raises ValueError without candidates, UsageError for an unknown strategy or `execute`;
    never because of what a candidate says.
    """
    if execute:
        raise UsageError(
            "Running the candidates' code is not available in this version.",
            hint="Vote without execute=True.",
        )
    decide = find(strategy)
    return decide(prepare(prompt, candidates))


def extract_code(text: str, prompt: str = "") -> str:
    """The answer in what a model wrote, as a vote sees it: no reasoning, fences or talk around
    it, a bare body put under the function header of the prompt. Never raises."""
    return extract(Candidate(text), find_header(prompt)).text

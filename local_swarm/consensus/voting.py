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

    The laws of `auto`, `ast` and `fuzzy`, of what is not empty (empty answers never win against
    others, and do not count here):

    - Answers with equal normal forms that are more than half win, whatever they are: talk, an
      error message, code of any language.
    - But broken ones (Python that does not compile, JSON or arguments of a call that do not
      parse) do not win by that where another answer of the same class is whole: Python is a
      class, and so are JSON, tool calls and each other language. Nor do they in any other way in
      `ast` and `auto` votes on code: there Python that compiles beats Python that does not.
    - Short of such a majority, `auto` takes the kind of most answers (a broken one counts half)
      and chooses within it; `ast` takes Python that compiles, or code of other languages where
      more of the code is of those; `fuzzy` the medoid of the whole answers, else of the broken.

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

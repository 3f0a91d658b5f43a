"""Reads sampled answers that somebody has graded: one problem of one source a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from local_swarm.consensus import extract_code
from local_swarm.consensus.execution import asked, examples
from local_swarm.consensus.reading.repair import find_header
from local_swarm.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer, and whether it is right."""

    text: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt, and what one source (a model, as it was sampled) answered to it."""

    task_id: str
    prompt: str
    samples: tuple[Sample, ...]
    source: str = "-"


def load(path: Path) -> tuple[Problem, ...]:
    """The problems of a JSON Lines file, in its order; other fields and empty lines are passed
    over. Reads the whole file. Raises UsageError, with the line, for what is not as it should be.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}.", hint=_EXPECTED
        ) from error
    problems = tuple(
        _problem(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    )
    if not problems:
        raise UsageError(f"{path} holds no problem.", hint=_EXPECTED)
    return problems


def without_examples(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """The same, with prompts that show no call's result."""
    return tuple(replace(problem, prompt=_hidden(problem)) for problem in problems)


def _hidden(problem: Problem) -> str:
    prompt, header = problem.prompt, find_header(problem.prompt)
    programs = [] if header else [extract_code(sample.text, prompt) for sample in problem.samples]
    return examples.hide(prompt, asked.find(prompt, header, programs))


_EXPECTED = "It is to have one JSON object a line: task_id, source, prompt, samples [text, passed]."
_decode = msgspec.json.Decoder(Problem).decode


def _problem(line: bytes, where: str) -> Problem:
    try:
        problem = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{where} is no problem: {error}.", hint=_EXPECTED) from error
    if not problem.samples:
        raise UsageError(f"{where} has no samples.", hint="Take the line out, or sample its task.")
    return problem

"""The tasks the builtin model is trained on and measured with: instruction -> small function.

A task is composed from a seed: a family (`families/`) writes the steps, the body and the inputs;
this module gives the function a name, words the request and computes the tests. What is held
out is decided by structure and constants together, not by wording, so the model never saw the
combination it is asked for, let alone the prompt. Nothing here reads or writes anything.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from local_swarm.evals.families import FAMILIES, PRACTICE, Draft
from local_swarm.evals.families.draft import indent, pick

HELD_OUT_ONE_IN = 10

VERBS = (
    "get", "find", "make", "build", "pick", "count", "sum", "fold", "join", "merge", "scan",
    "check", "filter", "collect", "compute", "reduce", "select", "gather", "measure", "solve",
)  # fmt: skip
NOUNS = (
    "total", "items", "values", "score", "result", "list", "data", "parts", "names", "words",
    "pairs", "steps", "range", "index", "group", "table", "rows", "match", "marks", "limit",
)  # fmt: skip
REQUESTS = (
    "Write a Python function `{call}` that {steps}.",
    "Write a function `{call}` that {steps}.",
    "Write a Python function `{call}` which {steps}.",
    "Define a Python function `{call}` that {steps}.",
    "Implement `{call}` in Python: it {steps}.",
    "Create a function `{call}` that {steps}.",
    "Please write `{call}`, a Python function that {steps}.",
    "I need a Python function `{call}` which {steps}.",
)


@dataclass(frozen=True, slots=True)
class Task:
    """One request with the answer it was made from and tests for any answer.

    `reference` is bare Python source (no fence) of one function called `entry_point`; `tests` is
    Python source of asserts that call it, to be run after the answer's own source.
    """

    task_id: str
    prompt: str
    entry_point: str
    reference: str
    tests: str


def training(seed: int) -> Iterator[Task]:
    """Endless tasks to train on; none has a combination that `held_out` can give. May repeat."""
    for written in _training(seed):
        yield written.task()


def training_prompts(seed: int) -> Iterator[str]:
    """The prompts of `training(seed)` in order, without the time it takes to compute tests."""
    for written in _training(seed):
        yield written.prompt


def held_out(seed: int, count: int) -> list[Task]:
    """`count` different tasks whose combinations never occur in `training`, whatever its seed."""
    tasks: dict[str, Task] = {}
    for family, draft, rng in _drafts(random.Random(f"held out {seed}"), {}):
        if len(tasks) >= count:
            break
        if _is_held_out(draft) and draft.key not in tasks:
            tasks[draft.key] = _write(family, draft, rng).task()
    return list(tasks.values())


@dataclass(frozen=True, slots=True)
class _Written:
    """A draft with its name and its wording, before the tests are computed."""

    family: str
    draft: Draft
    name: str
    prompt: str
    reference: str

    def task(self) -> Task:
        digest = hashlib.sha256(self.prompt.encode()).hexdigest()[:12]
        tests = _tests(self.name, self.reference, self.draft)
        return Task(f"{self.family}-{digest}", self.prompt, self.name, self.reference, tests)


def _drafts(
    rng: random.Random, practice: Mapping[str, int]
) -> Iterator[tuple[str, Draft, random.Random]]:
    weights = [weight * practice.get(name, 1) for name, weight, _ in FAMILIES]
    while True:
        family, _, build = rng.choices(FAMILIES, weights)[0]
        yield family, build(rng), rng


def _training(seed: int) -> Iterator[_Written]:
    for family, draft, rng in _drafts(random.Random(f"training {seed}"), PRACTICE):
        if not _is_held_out(draft):
            yield _write(family, draft, rng)


def _is_held_out(draft: Draft) -> bool:
    digest = hashlib.sha256(draft.key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_ONE_IN == 0


def _write(family: str, draft: Draft, rng: random.Random) -> _Written:
    name = f"{pick(rng, *VERBS)}_{pick(rng, *NOUNS)}"
    call = f"{name}({', '.join(draft.params)})"
    prompt = pick(rng, *REQUESTS).replace("{call}", call).replace("{steps}", _worded(rng, draft))
    reference = "\n".join([f"def {call}:", *indent(draft.body)]) + "\n"
    return _Written(family, draft, name, prompt, reference)


def _worded(rng: random.Random, draft: Draft) -> str:
    *most, last = draft.steps
    if not most:
        return last
    glue = pick(rng, " and ", ", then ", " and then ")
    if last.startswith("otherwise") or " otherwise" in last:
        glue = " and "
    return ", ".join(most) + glue + last


def _tests(name: str, reference: str, draft: Draft) -> str:
    space: dict[str, object] = {}
    # The source is our own, composed above; nothing from outside reaches this.
    exec(compile(reference, "<reference>", "exec"), space)
    function = space[name]
    assert callable(function)
    lines = []
    for arguments in draft.inputs:
        shown = ", ".join(repr(argument) for argument in arguments)
        lines.append(f"assert {name}({shown}) == {function(*arguments)!r}")
    return "\n".join(lines) + "\n"

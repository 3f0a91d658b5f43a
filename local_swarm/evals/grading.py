"""Does an answer, as the model wrote it, pass its task's unit tests?"""

from __future__ import annotations

from local_swarm.consensus import extract_code
from local_swarm.evals.check import CheckResult, run_tests
from local_swarm.evals.tasks import Task


def grade(task: Task, text: str) -> CheckResult:
    """Takes the code out of the answer as the vote does, then runs the tests on it."""
    return run_tests(extract_code(text, task.prompt), task.tests)

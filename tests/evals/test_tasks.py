"""The task space: the same from the same seed, split cleanly, tests that tell answers apart."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from itertools import islice

from local_swarm.evals.check import run_tests
from local_swarm.evals.families import FAMILIES
from local_swarm.evals.tasks import held_out, training, training_prompts

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Mod: ast.FloorDiv,
}  # fmt: skip


def near_misses(source: str) -> Iterator[str]:
    """The source with one constant one off, or one operator swapped for its neighbour."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    for index, node in enumerate(nodes):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            changed = copy.deepcopy(tree)
            list(ast.walk(changed))[index].value = node.value + 1  # type: ignore[attr-defined]
        elif type(node) in SWAPS:
            changed = copy.deepcopy(tree)
            list(ast.walk(changed))[index].__class__ = SWAPS[type(node)]
        else:
            continue
        yield ast.unparse(changed)


def runs(source: str, tests: str) -> bool:
    """For our own references only: run them here, which is quicker than a process each."""
    exec(compile(source + tests, "<task>", "exec"), {})
    return True


def test_the_same_seed_gives_the_same_tasks() -> None:
    assert held_out(7, 50) == held_out(7, 50)
    assert list(islice(training(7), 50)) == list(islice(training(7), 50))
    assert held_out(7, 50) != held_out(8, 50)


def test_a_longer_held_out_list_begins_with_the_shorter_one() -> None:
    assert held_out(3, 60)[:20] == held_out(3, 20)


def test_held_out_tasks_are_all_different() -> None:
    tasks = held_out(1, 500)
    assert len(tasks) == len({task.prompt for task in tasks}) == 500
    assert len({task.task_id for task in tasks}) == 500


def test_held_out_prompts_never_occur_in_training() -> None:
    prompts = {task.prompt for seed in range(4) for task in held_out(seed, 150)}
    assert len(prompts) > 590
    for prompt in islice(training_prompts(0), 20000):
        assert prompt not in prompts


def test_training_prompts_are_those_of_the_training_tasks() -> None:
    tasks = islice(training(3), 100)
    assert [task.prompt for task in tasks] == list(islice(training_prompts(3), 100))


def test_every_family_is_held_out_and_trained_on() -> None:
    names = {name for name, _, _ in FAMILIES}
    assert {task.task_id.split("-")[0] for task in held_out(1, 500)} == names
    assert {task.task_id.split("-")[0] for task in islice(training(1), 500)} == names


def test_a_prompt_says_what_to_call_the_function() -> None:
    for task in held_out(2, 200):
        assert task.entry_point in task.prompt
        (function,) = ast.parse(task.reference).body
        assert isinstance(function, ast.FunctionDef)
        assert function.name == task.entry_point
        assert 2 <= len(task.reference.splitlines()) - 1 <= 12


def test_every_reference_passes_its_own_tests() -> None:
    assert all(runs(task.reference, task.tests) for task in held_out(4, 200))


def test_references_pass_in_the_checker_too() -> None:
    for task in held_out(5, 25):
        assert run_tests(task.reference, task.tests).passed, task.prompt


def test_the_tests_tell_near_misses_apart() -> None:
    caught = total = 0
    for task in held_out(6, 60):
        if "while" in task.reference:  # a near miss of these may never end
            continue
        results = [run_tests(s, task.tests) for s in islice(near_misses(task.reference), 3)]
        total += len(results)
        caught += sum(not result.passed for result in results)
    assert total > 100
    # The rest are equal in effect (`x >= 9 and x > 1`, `count > 0` for `count >= 1`).
    assert caught / total > 0.85


def test_the_tests_catch_the_mistakes_a_small_model_makes() -> None:
    mistakes = {
        "(values)": "(numbers)",
        " * 3": " * 4",
        " >= ": " > ",
        " + 5": " - 5",
        "[::-1]": "",
        "reverse=True": "reverse=False",
        "startswith": "endswith",
        "result = []": "result = [0]",
    }
    for right, wrong in mistakes.items():
        # A bound on the result, or a second condition, may hide a mistake in a part; and of two
        # equal numbers it may not matter which branch takes them.
        task = next(
            task
            for task in islice(training(11), 3000)
            if right in task.reference
            and not task.task_id.startswith("two_numbers")
            and not re.search(r"min\(|max\(|len\(|\+=| and | or |%|\[-?:?\d", task.reference)
        )
        result = run_tests(task.reference.replace(right, wrong), task.tests)
        assert not result.passed, task.reference

"""Nothing that a program in the sandbox does changes what is outside, or what comes of another."""

from __future__ import annotations

import platform

import pytest

from local_swarm.domain.execution import Job
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.inside.seccomp import CALLS
from local_swarm.sandbox.ways import Way
from tests.sandbox.attacks import ATTACKS, NATIVE, NATIVE_CALLS, ON_RESOURCES, Attack
from tests.sandbox.boxes import SECRET, Outside, result, told
from tests.sandbox.conftest import UNHURRIED, begun

SIBLING = Job("SIBLING = 'sound'\ndef f(n):\n    return sum(range(n))\n", ("f(10)", "SIBLING"))
MOST_CALLS = 470
OF_PROBES = {335, 336} if platform.machine() == "x86_64" else set()
"""Never filtered: the kernel kills who calls them without having been sent there by a probe."""


def assert_contained(box: Sandbox, beside: Outside, source: str) -> str:
    """How `attack()` ended. A program without ill will runs beside and after it."""
    report, *siblings = box.run([Job(beside.filled_in(source), ("attack()",)), SIBLING])
    siblings += box.run([SIBLING])
    for sibling in siblings:
        assert [told(outcome) for outcome in sibling.outcomes] == ["value 45", "value 'sound'"]
    beside.assert_untouched()
    assert SECRET not in repr(report)
    assert told(report.load) == "value"
    return told(report.outcomes[0])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_contained(attack: Attack, box: Sandbox, beside: Outside) -> None:
    assert assert_contained(box, beside, attack.source) in attack.ends


@pytest.mark.parametrize("call", NATIVE_CALLS.values(), ids=NATIVE_CALLS)
def test_a_call_of_the_system_is_refused(call: str, box: Sandbox, beside: Outside) -> None:
    source = f"{NATIVE}\ndef attack():\n    return attempt(lambda: {call})\n"
    assert assert_contained(box, beside, source) == "value (-1, 1)"


def test_every_call_that_is_not_listed_is_refused(box: Sandbox, beside: Outside) -> None:
    calls = CALLS[platform.machine()]
    listed = {*calls.plain, *calls.sleeping, calls.write, calls.mmap, calls.mprotect}
    source = f"""{NATIVE}
def attack():
    others = [n for n in range({MOST_CALLS}) if n not in {listed | OF_PROBES}]
    return [n for n in others if attempt(lambda: libc.syscall(n, 0, 0, 0, 0, 0, 0)) != (-1, 1)]
"""
    assert assert_contained(box, beside, source) == "value []"


@pytest.mark.parametrize("attack", ON_RESOURCES, ids=lambda attack: attack.name)
def test_an_attack_while_the_program_loads_is_contained(
    attack: Attack, box: Sandbox, beside: Outside
) -> None:
    sibling = box.run([Job(beside.filled_in(f"{attack.source}\nattack()"), ("1",)), SIBLING])[1]
    assert told(sibling.outcomes[0]) == "value 45"
    beside.assert_untouched()


def test_what_was_there_for_one_program_is_not_there_for_the_next(box: Sandbox) -> None:
    jobs = [Job(f"import math\nmath.pi = {n}\nheld = {n}", ("math.pi", "held")) for n in range(6)]
    reports = box.run([*jobs, Job("import math", ("math.pi > 3.1", "held"))])
    assert [told(report.outcomes[0]) for report in reports] == [
        *[f"value {n}" for n in range(6)],
        "value True",
    ]
    assert told(reports[-1].outcomes[1]) == "raised NameError"


SEARCH = f"""{NATIVE}
def found():
    import re
    wanted = re.compile(b"a[-]secret[-]of[-]another")  # which it does not match itself
    starts = {{id(each) & ~4095 for each in gc.get_objects()}}
    starts |= {{id(each) & ~4095 for known in gc.get_objects() for each in gc.get_referents(known)}}
    return any(wanted.search(ctypes["string_at"](start, 4096)) for start in starts)
"""
"""Looks through every page of memory in which Python holds something."""


def test_the_memory_of_a_program_holds_nothing_of_another(way: Way) -> None:
    secret = "a-secret-of-another"
    with begun(way, workers=1, limits=UNHURRIED) as sandbox:
        for n in range(4):
            held = f"held_{n} = '{secret}'"
            assert result(sandbox, held, f"held_{n} * 3") == ["value", f"value '{secret * 3}'"]
        assert result(sandbox, SEARCH, "found()") == ["value", "value False"]
        assert result(sandbox, f"held = '{secret}'\n{SEARCH}", "found()") == ["value", "value True"]

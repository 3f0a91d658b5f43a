"""Nothing that a program in the sandbox does changes what is outside, or what comes of another."""

from __future__ import annotations

import platform

import pytest

from local_swarm.domain.execution import Job
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.inside.seccomp import CALLS
from local_swarm.sandbox.ways import Way
from tests.sandbox.attacks import ATTACKS, NATIVE, ON_RESOURCES
from tests.sandbox.boxes import SECRET, Outside, ends, result, told
from tests.sandbox.conftest import UNHURRIED, begun

MOST_CALLS = 470
OF_PROBES = {335, 336} if platform.machine() == "x86_64" else set()
"""Never filtered: the kernel kills who calls them without having been sent there by a probe."""


@pytest.mark.parametrize("group", ATTACKS)
def test_attacks_are_contained(group: str, box: Sandbox, beside: Outside) -> None:
    attacks = {attack.name: attack for attack in ATTACKS[group]}
    sources = {name: beside.filled_in(attack.source) for name, attack in attacks.items()}
    ended = ends(box, sources, "attack()")
    assert {n: how for n, how in ended.items() if how not in attacks[n].ends} == {}
    assert SECRET not in repr(ended)
    beside.assert_untouched()


def test_attacks_while_the_program_loads_are_contained(box: Sandbox, beside: Outside) -> None:
    sources = {a.name: beside.filled_in(f"{a.source}\nattack()") for a in ON_RESOURCES}
    assert SECRET not in repr(ends(box, sources, "1"))
    beside.assert_untouched()


def test_every_call_that_is_not_listed_is_refused(box: Sandbox, beside: Outside) -> None:
    calls = CALLS[platform.machine()]
    listed = {*calls.plain, *calls.sleeping, *calls.by_arguments}
    source = f"""{NATIVE}
def attack():
    others = [n for n in range({MOST_CALLS}) if n not in {listed | OF_PROBES}]
    return [n for n in others if attempt(lambda: libc.syscall(n, 0, 0, 0, 0, 0, 0)) != (-1, 1)]
"""
    assert ends(box, {"all": source}, "attack()") == {"all": "value []"}
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

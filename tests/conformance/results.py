"""What three runs of the suite say about the swarm. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

REFUSED_AT_START = re.compile(r"The engine argument (\S+) cannot be set here: (.+?)\.\s")
PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test; `refusal` is what `lswarm up` said where it would not start."""

    state: str
    refusal: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A test that passes on the raw server and not here; `why` is empty where nobody knows."""

    test: str
    why: str
    message: str
    behind_proxy: bool


Run = Mapping[str, Outcome]


def outcomes(junit: str) -> dict[str, Outcome]:
    """`file::test` to its outcome, out of pytest's JUnit file."""
    return {
        f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}": _outcome(case)
        for case in ElementTree.fromstring(junit).iter("testcase")
    }


def _outcome(case: ElementTree.Element) -> Outcome:
    bad = next((child for child in case if child.tag in ("failure", "error")), None)
    if bad is None:
        return Outcome(SKIPPED if case.find("skipped") is not None else PASSED)
    said = "".join(child.text or "" for child in case)
    refusal = REFUSED_AT_START.search(said)
    words = f"{refusal[1]} is refused: {refusal[2]}" if refusal else ""
    return Outcome(FAILED, words, bad.get("message", ""))


def passed(run: Run) -> list[str]:
    return sorted(test for test, outcome in run.items() if outcome.state == PASSED)


def differences(raw: Run, proxy: Run, ours: Run, reasons: Mapping[str, str]) -> list[Difference]:
    """The tests that the raw server passes and the swarm does not, by name."""
    return [
        Difference(
            test,
            outcome.refusal or reason_of(test, reasons),
            outcome.message,
            behind_proxy=proxy[test].state == PASSED,
        )
        for test, outcome in sorted(ours.items())
        if raw[test].state == PASSED and outcome.state != PASSED
    ]


def reason_of(test: str, reasons: Mapping[str, str]) -> str:
    """Of the first pattern (of fnmatch) that the test's name matches."""
    matching = (why for pattern, why in reasons.items() if fnmatch.fnmatchcase(test, pattern))
    return next(matching, "")


def report(raw: Run, proxy: Run, ours: Run, reasons: Mapping[str, str]) -> str:
    """A table of the three, and every difference under its reason. Behind the proxy and the swarm
    only those were run that the raw server passes."""
    found = differences(raw, proxy, ours, reasons)
    lines = ["| | tests | passed |", "|---|---|---|"]
    lines += [_row(name, run) for name, run in (("raw", raw), ("proxy", proxy), ("ours", ours))]
    lines += [_lost("the proxy", raw, proxy), ""]
    for why, count in Counter(d.why for d in found).most_common():
        lines += [f"{count} x {why or 'UNEXPLAINED'}", *_tests([d for d in found if d.why == why])]
    return "\n".join(lines)


def _row(name: str, run: Run) -> str:
    return f"| {name} | {len(run)} | {len(passed(run))} |"


def _lost(name: str, raw: Run, run: Run) -> str:
    lost = [t for t, o in run.items() if raw[t].state == PASSED and o.state != PASSED]
    return f"\nLost behind {name}: {', '.join(sorted(lost)) or 'none'}."


def _tests(found: Sequence[Difference]) -> list[str]:
    return [
        f"  {d.test}{'' if d.behind_proxy else ' (also behind a proxy)'}"
        + ("" if d.why else f": {d.message.splitlines()[0][:150] if d.message else ''}")
        for d in found
    ]

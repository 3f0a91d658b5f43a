"""What can be seen of a Python program without running it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Findings:
    """Faults of one program, each by itself: a flag, or in how many places it was found. Nothing
    found is the default, which is also what is said of a tree that is nested too deep."""

    # names (names.py)
    undefined: int = 0
    unbound: int = 0
    unused_parameters: int = 0
    unused_locals: int = 0
    # the asked function (shape.py)
    lacks_asked: bool = False
    wrong_parameters: bool = False
    returns_nothing: bool = False
    falls_off: bool = False
    is_stub: bool = False
    is_trivial: bool = False
    # where it goes (flow.py), what it calls (calls.py), what can only be a mistake (slips.py)
    dead_ends: int = 0
    bad_calls: int = 0
    unknown_attributes: int = 0
    slips: int = 0
    # what is only risky (risks.py)
    index_steps: int = 0
    # types of values (infer.py)
    kind_errors: int = 0
    kind_risks: int = 0
    unequal: int = 0
    # what the prompt says (returns.py, demands.py)
    wrong_returns: int = 0
    only_wrong_returns: bool = False
    missed_outputs: int = 0
    unmet: int = 0


FATAL = (
    *("undefined", "unbound", "unused_parameters", "wrong_parameters", "returns_nothing"),
    *("is_stub", "is_trivial", "dead_ends", "bad_calls", "unknown_attributes", "slips"),
    *("kind_errors", "only_wrong_returns", "missed_outputs"),
)
"""The faults that hardly any right program has (measured: under 0.1% of them, docs/voting.md)."""

"""Faults of one Python program that can be seen without running it.

    source    the tree, walked once, and the function that is asked for
    task      what the prompt tells of it: parameters, types, examples, demands in its prose
    names     undefined, unbound and unused names
    shape     whether the asked function does anything and can be called as it is asked for
    flow      what is returned on which path, what is never reached or never ends
    calls     calls that cannot work
    slips     what can only be a mistake
    risks     where mistakes are easily made
    infer     types of values (kinds, environment, expressions, calling, operations, signatures)
    returns   what is returned against what is asked for

All are pure functions of tree and prompt. A `Findings` says what was seen, not what it is worth:
that is for who compares.
"""

from __future__ import annotations

import ast

from local_swarm.consensus.lint import calls, demands, flow, names, returns, shape
from local_swarm.consensus.lint.findings import FATAL, Findings
from local_swarm.consensus.lint.kinds import NONE
from local_swarm.consensus.lint.risks import index_steps
from local_swarm.consensus.lint.slips import slips
from local_swarm.consensus.lint.source import Function, Source, read
from local_swarm.consensus.lint.task import Task, read_task
from local_swarm.consensus.reading.repair import Header

__all__ = ["FATAL", "Findings", "lint"]


def lint(module: ast.Module, header: Header | None, prompt: str) -> Findings:
    """What is wrong with a program. `header` is the function that the prompt asks for. Total: of a
    tree that is nested too deep nothing is found."""
    task = read_task(prompt, header)
    source = read(module, task.name)
    if source is None:
        return Findings()
    if source.asked is None:
        return _anywhere(source, task)
    return _asked(source, source.asked, task)


def _anywhere(source: Source, task: Task) -> Findings:
    """Of a program without the asked function, or of a prompt that asks for none."""
    found = names.check(source.module, None, task.given)
    return Findings(
        undefined=len(found.undefined),
        unbound=len(found.unbound),
        unused_locals=len(found.unused_locals),
        lacks_asked=task.name is not None,
        dead_ends=flow.dead_ends(source),
        bad_calls=calls.bad_calls(source, found.bound),
        unknown_attributes=calls.unknown_attributes(source, task),
        slips=slips(source),
        index_steps=index_steps(source),
        unmet=demands.unmet(task.demands, shape.words(source)),
    )


def _asked(source: Source, asked: Function, task: Task) -> Findings:
    found = names.check(source.module, asked, task.given)
    judged = returns.judge(source, asked, task)
    return Findings(
        undefined=len(found.undefined),
        unbound=len(found.unbound),
        unused_parameters=len(found.unused_parameters),
        unused_locals=len(found.unused_locals),
        wrong_parameters=shape.other_parameters(asked, task),
        returns_nothing=shape.returns_nothing(source) and task.returns != NONE,
        falls_off=shape.falls_off(source, asked),
        is_stub=shape.is_stub(asked),
        is_trivial=shape.is_trivial(asked),
        dead_ends=flow.dead_ends(source),
        bad_calls=calls.bad_calls(source, found.bound),
        unknown_attributes=calls.unknown_attributes(source, task),
        slips=slips(source),
        index_steps=index_steps(source),
        kind_errors=judged.errors,
        kind_risks=judged.risks,
        unequal=judged.unequal,
        wrong_returns=judged.wrong,
        only_wrong_returns=judged.only_wrong,
        missed_outputs=judged.missed,
        unmet=demands.unmet(task.demands, shape.words(source)),
    )

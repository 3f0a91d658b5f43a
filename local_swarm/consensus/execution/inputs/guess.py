"""Which shapes the arguments of a function may have, by all that is known of them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence

from local_swarm.consensus.execution.asked import Asked
from local_swarm.consensus.execution.inputs import hints, shapes, usage
from local_swarm.consensus.execution.inputs.rows import Arguments
from local_swarm.consensus.execution.inputs.shapes import Shape

_MAX_SHAPES = 3
_MAX_DEPTH = 4
_LEAST_SHARE = 0.3
"""A shape is tried when it has at least so much of the weight of the likeliest."""

_BY_ANNOTATION, _BY_EXAMPLE, _BY_USE, _BY_NAME = 12.0, 8.0, 3.0, 1.0


def combinations(
    asked: Asked, prose: str, given: Sequence[Arguments], modules: Sequence[ast.Module]
) -> list[tuple[Shape, ...]]:
    """Combinations of shapes, the likeliest first."""
    weights: list[dict[Shape, float]] = [defaultdict(float) for _ in asked.parameters]
    for at, parameter in enumerate(asked.parameters):
        for shape in shapes.from_annotation(parameter.annotation):
            weights[at][shape] += _BY_ANNOTATION
        if (named := hints.by_name(parameter.name)) is not None:
            weights[at][named] += _BY_NAME
        told = [shapes.of(arguments[at]) for arguments in given if at < len(arguments)]
        for shape in told:
            weights[at][shape] += _BY_EXAMPLE / len(told)
    for at, shape, weight in hints.by_words(prose, asked):
        weights[at][shape] += weight
    for module in modules:
        for at, used in usage.shapes(module, asked.name).items():
            for shape in used if at < len(weights) else ():
                weights[at][shape] += _BY_USE / len(used) / len(modules)
    ranked = [_likely(_merged(counter)) for counter in map(_flat_enough, weights)]
    longest = max(map(len, ranked))
    return [tuple(one[min(at, len(one) - 1)] for one in ranked) for at in range(longest)]


def _flat_enough(weights: Mapping[Shape, float]) -> Mapping[Shape, float]:
    """Values grow exponentially with the depth of their shape."""
    return {shape: weight for shape, weight in weights.items() if shape.depth <= _MAX_DEPTH}


def _merged(weights: Mapping[Shape, float]) -> Mapping[Shape, float]:
    """What is vague counts for those of its kind that are not."""
    merged: dict[Shape, float] = defaultdict(float)
    for shape, weight in weights.items():
        told = [one for one in weights if one.kind == shape.kind and not one.vague]
        if shape.vague and told:
            total = sum(weights[one] for one in told)
            for one in told:
                merged[one] += weight * weights[one] / total
        else:
            merged[shape] += weight
    return merged


def _likely(weights: Mapping[Shape, float]) -> list[Shape]:
    if not weights:
        return [shapes.INT, shapes.STR, shapes.list_of(shapes.INT)]
    ranked = sorted(weights, key=lambda one: (-weights[one], repr(one)))
    least = weights[ranked[0]] * _LEAST_SHARE
    return [shape for shape in ranked if weights[shape] >= least][:_MAX_SHAPES]

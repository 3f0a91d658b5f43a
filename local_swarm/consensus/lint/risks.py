"""What is no fault by itself, but where many mistakes are made."""

from __future__ import annotations

import ast

from local_swarm.consensus.lint.source import Source


def index_steps(source: Source) -> int:
    """Places that look at a neighbour, `xs[i + 1]`: where one off is easily made, and the ends are
    easily forgotten."""
    return sum(_is_step(node.slice) for node in source.all(ast.Subscript))


def _is_step(index: ast.expr) -> bool:
    if not isinstance(index, ast.BinOp) or not isinstance(index.op, (ast.Add, ast.Sub)):
        return False
    return isinstance(index.right, ast.Constant)

"""Models that were not chosen, in as few lines as say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice


def lines(rejected: Iterable[tuple[str, str]], *, most: int, more: str) -> Iterator[str]:
    """One line for each model of (name, why), best first: what its smallest quantisation lacked.

    Names are the catalogue's (`family:size:quant`), the smallest quantisation of a model last.
    Beyond `most` models there is one more line: how many there are, and `more`.
    """
    models = [list(files) for _, files in groupby(rejected, key=lambda one: _model(one[0]))]
    yield from (_line(files) for files in islice(models, most))
    if len(models) > most:
        yield f"{len(models) - most} more{more}"


def _model(name: str) -> str:
    return name.rpartition(":")[0] or name


def _line(files: list[tuple[str, str]]) -> str:
    name, why = files[-1]
    larger = len(files) - 1
    return f"not {name}{f' (nor {larger} larger)' if larger else ''}: {why}"

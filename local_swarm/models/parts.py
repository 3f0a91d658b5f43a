"""Models in several files, as llama-gguf-split writes them: `NAME-00001-of-00003.gguf`, ...

Source: llama.cpp src/llama-model-loader.cpp and `llama_split_path` in src/llama.cpp, as of the
version in llama-cpp-python 0.3.36. Each part is a GGUF file; the first has the model's metadata,
`split.no` counts from 0, and the engine is given the first and finds the others by name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from local_swarm.domain.model import Tensor
from local_swarm.errors import ModelError
from local_swarm.models.gguf import Header, read_header

MAX_PARTS = 1024

_NAME = re.compile(r"(?s)(.*)-(\d{5})-of-(\d{5})\.gguf")


def read_model(path: Path) -> Header:
    """The header of a model, with the tensors and bytes of all its parts.

    `path` may name any part; the header's own path is then that of the first. `ModelError` names a
    part that is missing, damaged, or of another model.
    """
    header = read_header(path)
    count = _number(header, "split.count", 1)
    if count <= 1:
        return header
    paths = _paths(header, path, count)
    first = header if paths[0] == path else _part(paths[0], 0, count)
    _check(first, 0, count)
    rest = [_part(other, number, count) for number, other in enumerate(paths[1:], 1)]
    return _joined(first, rest, tuple(str(one) for one in paths))


def _paths(header: Header, path: Path, count: int) -> list[Path]:
    """Where all parts should be, by the name of one."""
    named = _NAME.fullmatch(path.name)
    number = _number(header, "split.no", 0)
    if count > MAX_PARTS:
        raise _unsound(path, f"it claims to be one of {count} parts")
    if named is None or (int(named[2]), int(named[3])) != (number + 1, count):
        raise ModelError(
            f"{path} is part {number + 1} of {count} of a model, which its name does not say.",
            hint=f"Give the parts their names back: NAME-{number + 1:05}-of-{count:05}.gguf.",
        )
    return [path.with_name(f"{named[1]}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1)]


def _part(path: Path, number: int, count: int) -> Header:
    if not path.exists():
        raise ModelError(
            f"Part {number + 1} of {count} of the model is missing: {path}.",
            hint="Download it into the same directory.",
        )
    header = read_header(path)
    _check(header, number, count)
    return header


def _check(header: Header, number: int, count: int) -> None:
    found = _number(header, "split.no", -1), _number(header, "split.count", 1)
    if found != (number, count):
        raise _unsound(
            Path(header.path),
            f"it is named part {number + 1} of {count}, but says that it is part"
            f" {found[0] + 1} of {found[1]}",
        )


def _joined(first: Header, rest: list[Header], paths: tuple[str, ...]) -> Header:
    tensors: dict[str, Tensor] = {}
    for part in (first, *rest):
        for tensor in part.tensors:
            if tensor.name in tensors:
                raise _unsound(Path(part.path), f"{tensor.name!r} is in another part too")
            tensors[tensor.name] = tensor
    expected = _number(first, "split.tensors.count", len(tensors))
    if expected != len(tensors):
        raise _unsound(
            Path(first.path), f"its parts have {len(tensors)} tensors, not the {expected} it says"
        )
    size = sum(part.size_bytes for part in (first, *rest))
    return replace(first, size_bytes=size, tensors=tuple(tensors.values()), parts=paths)


def _number(header: Header, key: str, default: int) -> int:
    value = header.metadata.get(key, default)
    return value if type(value) is int else default


def _unsound(path: Path, what: str) -> ModelError:
    return ModelError(f"{path} is not a sound part of a model: {what}.", hint="Download it again.")

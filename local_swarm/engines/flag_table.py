"""Rows that say where a command-line flag goes among the settings of xllamacpp.CommonParams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Apply = Callable[[Any, Any, Any], None]  # the xllamacpp module, the CommonParams, the value


class FlagError(ValueError):
    """A flag or value that cannot be used; the message names it and the way out."""


@dataclass(frozen=True, slots=True)
class Flag:
    """`read` turns the next word into the value and raises ValueError; None makes a switch."""

    names: tuple[str, ...]
    apply: Apply
    read: Callable[[str], Any] | None = None


@dataclass(slots=True)
class Table:
    """Collects rows; `flags` finds one by any of its names."""

    flags: dict[str, Flag] = field(default_factory=dict)

    def add(self, names: str, apply: Apply, read: Callable[[str], Any] | None = None) -> None:
        flag = Flag(tuple(names.split()), apply, read)
        self.flags |= dict.fromkeys(flag.names, flag)

    def value(self, names: str, where: str, read: Callable[[str], Any]) -> None:
        """A flag whose value goes to the attribute (or attributes) `where`."""

        def apply(_: Any, params: Any, value: Any) -> None:
            for path in where.split():
                put(params, path, value)

        self.add(names, apply, read)

    def switch(self, names: str, where: str, value: bool = True) -> None:
        self.add(names, lambda _, params, __: put(params, where, value))

    def sampler(self, names: str, where: str, read: Callable[[str], Any]) -> None:
        """A default for requests that also wins over what the model file recommends."""

        def apply(xl: Any, params: Any, value: Any) -> None:
            setattr(params.sampling, where, value)
            known = f"COMMON_PARAMS_SAMPLING_CONFIG_{where.upper()}"
            bit = getattr(xl.common_params_sampling_config, known, 0)
            params.sampling.user_sampling_config |= int(bit)

        self.add(names, apply, read)

    def choice(self, names: str, where: str, enum: str, prefix: str, choices: str) -> None:
        """A flag whose value names a member of one of xllamacpp's enums."""
        allowed = choices.split()

        def read(word: str) -> str:
            if word not in allowed:
                raise ValueError(f"is not one of {', '.join(allowed)}")
            return word

        def apply(xl: Any, params: Any, value: str) -> None:
            member = _MEMBERS.get(value, value).upper().replace("-", "_")
            put(params, where, getattr(getattr(xl, enum), prefix + member))

        self.add(names, apply, read)


# Where llama.cpp's word is not the enum's.
_MEMBERS = {"on": "enabled", "off": "disabled"}


def put(params: Any, path: str, value: Any) -> None:
    """Sets `a.b` of the params."""
    *parents, last = path.split(".")
    for parent in parents:
        params = getattr(params, parent)
    setattr(params, last, value)

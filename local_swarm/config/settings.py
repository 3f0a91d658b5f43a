"""The schema as a table: one `Setting` for each `section.key`; and where a value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

from local_swarm.config.schema import Config


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `type` is its annotation with ranges; `doc` one sentence.

    A guarded setting is not taken from a `./lswarm.toml`; a secret one is never shown.
    """

    section: str
    key: str
    type: Any
    default: object
    doc: str
    guarded: bool
    secret: bool

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """Its environment variable: `LSWARM_SERVER__PORT`."""
        return f"LSWARM_{self.section}__{self.key}".upper()


def _setting(section: str, key: str, annotation: Any, default: object) -> Setting:
    metas = [note for note in get_args(annotation)[1:] if isinstance(note, Meta)]
    doc = next(meta.description for meta in metas if meta.description)
    extra = {name: True for meta in metas for name in meta.extra or {}}
    guarded, secret = "guarded" in extra, "secret" in extra
    return Setting(section, key, annotation, default, doc, guarded, secret)


def _settings_of(section: str, struct: type[Struct]) -> list[Setting]:
    hints = get_type_hints(struct, include_extras=True)
    defaults = struct()
    return [_setting(section, key, hints[key], getattr(defaults, key)) for key in hints]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from. `where` is `PATH:LINE` or the variable's name."""

    kind: Literal["default", "file", "environment", "flag"]
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


SECTIONS: Mapping[str, type[Struct]] = get_type_hints(Config)
SETTINGS: Mapping[str, Setting] = {
    setting.name: setting
    for section, struct in SECTIONS.items()
    for setting in _settings_of(section, struct)
}


def parts(annotation: Any) -> list[tuple[Any, tuple[Meta, ...]]]:
    """The alternatives of a type, each with its ranges: `int | "auto"` has two."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        metas = tuple(note for note in notes if isinstance(note, Meta))
        return [(kind, own + metas) for kind, own in parts(inner)]
    if get_origin(annotation) in (Union, UnionType):
        return [part for choice in get_args(annotation) for part in parts(choice)]
    return [(annotation, ())]

"""The settings as rows for people and programs; secrets are masked. Pure."""

from __future__ import annotations

from typing import NamedTuple

from local_swarm.config.load import Loaded
from local_swarm.config.settings import SETTINGS, Setting

MASK = "********"


class Row(NamedTuple):
    """One setting: `section.key`, its value (a list where the file has one), where it came from."""

    key: str
    value: object
    origin: str


def rows(loaded: Loaded) -> list[Row]:
    """Every setting in the order of the schema; fit for JSON as it is."""
    return [
        Row(name, _visible(setting, _value(loaded, setting)), str(loaded.origins[name]))
        for name, setting in SETTINGS.items()
    ]


def as_toml(value: object) -> str:
    """A value as the file would have it: `"auto"`, `5`, `true`, `["a", "b"]`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(as_toml(item) for item in value)}]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else char for char in escaped
    )
    return f'"{plain}"'


def _value(loaded: Loaded, setting: Setting) -> object:
    value: object = getattr(getattr(loaded.config, setting.section), setting.key)
    return list(value) if isinstance(value, tuple) else value


def _visible(setting: Setting, value: object) -> object:
    if not setting.secret or not value:
        return value
    return [MASK for _ in value] if isinstance(value, list) else MASK

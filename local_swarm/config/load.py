"""Default < file < environment < flag, each value knowing its origin; checked once, here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from local_swarm.config.checks import problems_between
from local_swarm.config.schema import Config
from local_swarm.config.settings import SECTIONS, SETTINGS, Origin, Setting
from local_swarm.config.sources import Layer, find_file, read_env, read_file, read_flags
from local_swarm.config.values import BadValue, checked
from local_swarm.errors import ConfigError

_DEFAULT = Origin("default")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, where each came from (by `section.key`), and the file that was read."""

    config: Config = field(default_factory=Config)
    origins: Mapping[str, Origin] = field(
        default_factory=lambda: MappingProxyType(dict.fromkeys(SETTINGS, _DEFAULT))
    )
    path: Path | None = None


def load(
    *,
    flags: Mapping[str, object] = MappingProxyType({}),
    config_path: str | None = None,
    env: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
) -> Loaded:
    """Read every source and check the outcome.

    `flags` are by full name (`{"server.port": 8000}`); None means not given, and a text is read
    as the environment's are. `config_path` is what `--config` names. Raises `ConfigError` that
    tells all problems at once. Blocks on one small file.
    """
    file = find_file(config_path, env, Path.cwd() if cwd is None else cwd)
    layers = [Layer() if file is None else read_file(file), read_env(env), read_flags(flags)]
    given: dict[str, tuple[object, Origin]] = {}
    for layer in layers:
        given.update(layer.values)
    problems = [problem for layer in layers for problem in layer.problems]
    values = _checked_values(given, problems)
    origins = {name: given[name][1] if name in given else _DEFAULT for name in SETTINGS}
    if not problems:
        config = _build(values)
        problems += problems_between(config, origins)
    if problems:
        raise _error(problems)
    return Loaded(config, MappingProxyType(origins), None if file is None else file.path)


def refuse_between(config: Config, origins: Mapping[str, Origin]) -> None:
    """Raises `ConfigError` where settings are right alone and wrong together."""
    if problems := problems_between(config, origins):
        raise _error(problems)


def _checked_values(
    given: Mapping[str, tuple[object, Origin]], problems: list[str]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, (value, origin) in given.items():
        setting = SETTINGS[name]
        try:
            values[name] = checked(setting, value)
        except BadValue as bad:
            found = _shown(setting, value)
            problems.append(f"{name} is {found} (from {origin}), but must be {bad}")
    return values


def _shown(setting: Setting, value: object) -> str:
    """The found value for a message, short, and no secret."""
    if setting.secret:
        return "not usable"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _build(values: Mapping[str, object]) -> Config:
    by_section: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    for name, value in values.items():
        section, _, key = name.partition(".")
        by_section[section][key] = value
    sections = {name: SECTIONS[name](**content) for name, content in by_section.items()}
    return Config(**sections)  # type: ignore[arg-type]


def _error(problems: Sequence[str]) -> ConfigError:
    hint = "Correct this and try again; conf/lswarm.toml documents every key."
    if len(problems) == 1:
        return ConfigError(f"{problems[0]}.", hint=hint)
    lines = "".join(f"\n  - {problem}." for problem in problems)
    return ConfigError(f"{len(problems)} settings are wrong:{lines}", hint=hint)

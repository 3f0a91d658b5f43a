"""Where settings come from: the file that is found, the environment, the flags.

Each reader gives raw values under their full names with an `Origin`, and tells problems instead
of raising at the first, so that a person sees them all at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from local_swarm.config.names import suggestion
from local_swarm.config.paths import CONFIG_NAME, system_config_file, user_paths
from local_swarm.config.settings import SECTIONS, SETTINGS, Origin
from local_swarm.config.values import parsed
from local_swarm.errors import ConfigError

_LINE = re.compile(r"""^\s*(?:\[\s*(?P<section>[\w.'"-]+)\s*\]|(?P<key>[\w.'"-]+)\s*=)""")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, by full name, and what is wrong with how it says it."""

    values: dict[str, tuple[object, Origin]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file to read. A trusted one was named by the user or lies in a directory of settings."""

    path: Path
    trusted: bool


def find_file(config_path: str | None, env: Mapping[str, str], cwd: Path) -> ConfigFile | None:
    """The first of `--config`, `$LSWARM_CONFIG`, `./lswarm.toml`, the user's, the system's."""
    for named, by in (
        (config_path, "--config"),
        (env.get("LSWARM_CONFIG") or None, "LSWARM_CONFIG"),
    ):
        if named is not None:
            path = cwd / os.path.expanduser(named)
            if not path.exists():
                raise ConfigError(
                    f"The configuration file {path}, named by {by}, does not exist.",
                    hint=f"Create it, or correct {by}.",
                )
            return ConfigFile(path, trusted=True)
    user, local = user_paths(env).config_file, cwd / CONFIG_NAME
    if os.path.isfile(local):
        trusted = os.path.isfile(user) and os.path.samefile(local, user)
        return ConfigFile(local, trusted)
    found = (path for path in (user, system_config_file()) if os.path.isfile(path))
    return next((ConfigFile(path, trusted=True) for path in found), None)


def read_file(file: ConfigFile) -> Layer:
    """The settings of a TOML file; `ConfigError` where it is none."""
    text, document = _decode(file.path)
    lines = _line_numbers(text)
    layer = Layer()
    for section, content in document.items():
        place = _place(file.path, lines.get(section))
        if section not in SECTIONS:
            layer.problems.append(f"{place}: unknown section [{section}]{suggestion(section)}")
        elif not isinstance(content, dict):
            layer.problems.append(f"{place}: {section} is a section, written [{section}]")
        else:
            for key, value in content.items():
                name = f"{section}.{key}"
                place = _place(file.path, lines.get(name, lines.get(section)))
                _take(layer, name, value, Origin("file", place), trusted=file.trusted)
    return layer


def read_env(env: Mapping[str, str]) -> Layer:
    """`LSWARM_SECTION__KEY` variables; one without `__` is no setting."""
    known = {setting.variable: setting for setting in SETTINGS.values()}
    layer = Layer()
    for variable, text in env.items():
        if not variable.startswith("LSWARM_") or "__" not in variable:
            continue
        setting = known.get(variable)
        if setting is None:
            name = variable.removeprefix("LSWARM_").replace("__", ".", 1).lower()
            near = suggestion(name, write=lambda found: SETTINGS[found].variable)
            layer.problems.append(f"environment: unknown variable {variable}{near}")
        else:
            value = parsed(setting, text)
            layer.values[setting.name] = (value, Origin("environment", variable))
    return layer


def read_flags(flags: Mapping[str, object]) -> Layer:
    """Flags by full name (`"server.port"`); None is a flag that was not given."""
    layer = Layer()
    for name, value in flags.items():
        if value is not None:
            setting = SETTINGS.get(name)
            meant = parsed(setting, value) if setting and isinstance(value, str) else value
            _take(layer, name, meant, Origin("flag"), trusted=True)
    return layer


def _take(layer: Layer, name: str, value: object, origin: Origin, *, trusted: bool) -> None:
    setting = SETTINGS.get(name)
    if setting is None:
        place = origin.where or origin.kind
        layer.problems.append(f"{place}: unknown key {name}{suggestion(name)}")
    elif setting.guarded and not trusted:
        layer.problems.append(
            f"{origin.where}: {name} may not be set by a file that lies in the working directory;"
            " put it in the user's config file, or name this file with --config"
        )
    else:
        layer.values[name] = (value, origin)


def _decode(path: Path) -> tuple[str, dict[str, object]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document: dict[str, object] = msgspec.toml.decode(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text, at byte {error.start}.") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    return text, document


def _place(path: Path, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


def _line_numbers(text: str) -> dict[str, int]:
    """The line of each section and `section.key`, as far as plain lines tell."""
    return dict(reversed(list(_names(text))))


def _names(text: str) -> Iterator[tuple[str, int]]:
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line)
        if match is None:
            continue
        name = re.sub(r"""["'\s]""", "", match["section"] or match["key"])
        if match["section"]:
            section = name
        elif section:
            name = f"{section}.{name}"
        yield name, number

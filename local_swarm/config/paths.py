"""Where the program keeps things: the user's own directories, as the operating system has them.

`LSWARM_HOME` moves all of them into one folder, so that tests and two swarms side by side do not
meet. Nothing is created before `ensured` is asked to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_swarm.errors import ConfigError

APP = "local_swarm"
CONFIG_NAME = "lswarm.toml"


@dataclass(frozen=True, slots=True)
class Paths:
    """One swarm's directories: settings, what must survive, what may be lost, run files."""

    config: Path
    state: Path
    cache: Path
    run: Path

    @property
    def config_file(self) -> Path:
        return self.config / CONFIG_NAME


def user_paths(env: Mapping[str, str] = os.environ) -> Paths:
    """The user's directories, or those under `LSWARM_HOME`; creates nothing."""
    home = env.get("LSWARM_HOME")
    if home:
        root = Path(os.path.abspath(os.path.expanduser(home)))
        return Paths(root / "config", root / "state", root / "cache", root / "run")
    import platformdirs

    state = platformdirs.user_state_path(APP, appauthor=False)
    return Paths(
        config=platformdirs.user_config_path(APP, appauthor=False),
        state=state,
        cache=platformdirs.user_cache_path(APP, appauthor=False),
        run=state / "run",  # not the runtime directory: that goes when the user logs out
    )


def system_config_file() -> Path:
    """The machine's own settings, `local_swarm/lswarm.toml` in the system's directory."""
    import platformdirs

    return platformdirs.site_config_path(APP, appauthor=False) / CONFIG_NAME


def chosen(setting: str, otherwise: Path) -> Path:
    """The directory that a setting names (`~` is understood), or another where it is empty."""
    return Path(os.path.abspath(os.path.expanduser(setting))) if setting else otherwise


def ensured(directory: Path) -> Path:
    """The directory, created with what is missing above it, for this user alone (0700).

    One that exists is left as it is; `ConfigError` where it cannot be made.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        if not directory.is_dir():
            raise NotADirectoryError(f"{directory} is a file")
    except OSError as error:
        raise ConfigError(
            f"The directory {directory} cannot be created: {error.strerror or error}.",
            hint="Make it writable, or set LSWARM_HOME to a folder of your own.",
        ) from error
    return directory

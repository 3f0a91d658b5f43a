"""A user with an empty home, in an empty working directory, on a machine without settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local_swarm.config import Loaded, load


class Desk:
    """Where a test writes files (`home`, `work`, `system`) and loads as a program would."""

    def __init__(self, root: Path) -> None:
        self.home, self.work, self.etc = root / "home", root / "work", root / "etc"
        self.work.mkdir()
        self.user_file = self.home / "config" / "lswarm.toml"
        self.local_file = self.work / "lswarm.toml"
        self.system_file = self.etc / "local_swarm" / "lswarm.toml"

    def write(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def load(
        self,
        env: Mapping[str, str] | None = None,
        flags: Mapping[str, object] | None = None,
        config_path: str | None = None,
    ) -> Loaded:
        full = {"LSWARM_HOME": str(self.home), **(env or {})}
        return load(flags=flags or {}, config_path=config_path, env=full, cwd=self.work)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(desk.etc))
    return desk


@pytest.fixture
def from_user_file(desk: Desk) -> Callable[[str], Loaded]:
    """Load with this text as the user's config file."""

    def load_text(text: str) -> Loaded:
        desk.write(desk.user_file, text)
        return desk.load()

    return load_text

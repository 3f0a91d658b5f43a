"""Keeps what is known of the models' skills, for all swarms of this user: a file in the state
directory. One that is damaged is set aside; one that cannot be written is lost, with a warning."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from local_swarm.config.paths import Paths
from local_swarm.consensus.scoring.skills import Skill, Skills

VERSION = 1
LOCK_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Content:
    version: int
    models: dict[str, Skill]


@dataclass(frozen=True, slots=True)
class SkillFile:
    """Every method blocks for a small file, and never raises OSError."""

    path: Path

    @classmethod
    def of(cls, paths: Paths) -> SkillFile:
        return cls(paths.state / "skills.json")

    def read(self) -> Skills:
        """Nothing is known where there is no file, or none of ours."""
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_Content)
            if content.version == VERSION:
                return content.models
            why = f"it is of version {content.version}"
        except FileNotFoundError:
            return {}
        except OSError as error:
            log.warning("the models' skills in %s cannot be read: %s", self.path, error)
            return {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            why = str(error)
        self._set_aside(why)
        return {}

    def update(self, change: Callable[[Skills], Skills]) -> Skills:
        """Reads, changes and writes, and nobody else does meanwhile. Waits for others up to five
        seconds. Returns the new skills, also where they could not be kept."""
        from filelock import FileLock, Timeout

        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=LOCK_TIMEOUT_S):
                skills = change(self.read())
                self._write(skills)
                return skills
        except (OSError, Timeout) as error:
            log.warning("the models' skills cannot be kept in %s: %s", self.path, error)
            return change(self.read())

    def _write(self, skills: Skills) -> None:
        content = msgspec.json.encode(_Content(VERSION, dict(skills)))
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.format(content, indent=1))
            os.replace(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        with contextlib.suppress(OSError):
            os.replace(self.path, aside)
        log.warning("the models' skills in %s cannot be used (%s): now %s", self.path, why, aside)

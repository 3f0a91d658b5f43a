"""Keeps what is known of the models' skills, for all swarms of this user: a file in the state
directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local_swarm.config.paths import Paths
from local_swarm.consensus.scoring.skills import Skill, Skills
from local_swarm.storage import Document

VERSION = 1


@dataclass(frozen=True, slots=True)
class _Content:
    models: dict[str, Skill]


class SkillFile:
    """The gateway's `SkillBook`. Every method blocks for a small file, and never raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._document = Document(path, _Content, VERSION, _Content({}), what="the models' skills")

    @classmethod
    def of(cls, paths: Paths) -> SkillFile:
        return cls(paths.state / "skills.json")

    def read(self) -> Skills:
        """Nothing is known where there is no file, or none of ours."""
        return self._document.read().models

    def update(self, change: Callable[[Skills], Skills]) -> Skills:
        """Changes what is there now, whoever wrote it. Returns the new skills, also where they
        could not be kept."""
        kept = self._document.update(lambda known: _Content(dict(change(known.models))))
        return kept.models

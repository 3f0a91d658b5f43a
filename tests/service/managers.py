"""A service, and surroundings that record what they are asked to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.service import Service, Surroundings, Target
from local_swarm.service.base import Ran

COMMAND = ("/opt/x/bin/python", "-X", "faulthandler", "-m", "local_swarm", "up", "--port", "8000")
Answers = Callable[[Sequence[str]], Ran]


@dataclass
class Recorder:
    """Answers every command; `asked` are those that came, each as one text."""

    answers: Answers = lambda argv: Ran(0)
    asked: list[str] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], timeout_s: float = 30.0, /) -> Ran:
        self.asked.append(" ".join(argv))
        return self.answers(argv)


def around(
    tmp_path: Path,
    answers: Answers = lambda argv: Ran(0),
    env: Mapping[str, str] | None = None,
    *,
    is_root: bool = True,
) -> tuple[Surroundings, Recorder]:
    recorder = Recorder(answers)
    here = Surroundings(recorder, env or {}, tmp_path / "root", tmp_path / "home", is_root)
    return here, recorder


def service(*, system: bool = False, user: str = "", **environment: str) -> Service:
    return Service(Target(system=system), COMMAND, user, environment, stop_s=30.0)

"""opencode without its screen, in a folder of its own, on a gateway's address."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_swarm.cli.opencode import Target, block_of
from tests.clients.running import PATIENCE_S, Program, opencode_program
from tests.swarms import MODEL, Swarm

QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_PURE": "1",
    "npm_config_registry": "http://127.0.0.1:9",  # it gets itself a package, and goes on without
}
FOLDERS = ("DATA", "CONFIG", "CACHE", "STATE")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one `opencode run` did: the events it printed, and how it ended."""

    events: list[dict[str, Any]]
    exit_code: int | None

    @property
    def text(self) -> str:
        return "".join(self._parts("text", "text"))

    @property
    def finished(self) -> list[str]:
        """Why each of its steps ended."""
        return self._parts("step_finish", "reason")

    @property
    def errors(self) -> list[Any]:
        return [event["error"] for event in self.events if event["type"] == "error"]

    def _parts(self, kind: str, key: str) -> list[Any]:
        return [event["part"][key] for event in self.events if event["type"] == kind]


@dataclass(frozen=True)
class Opencode:
    """`folder` is the project it works in; everything it keeps goes to `home`."""

    binary: str
    folder: Path
    home: Path

    @classmethod
    def within(cls, folder: Path) -> Opencode:
        """Skips the test where opencode is not installed."""
        (folder / "project").mkdir()
        (folder / "home").mkdir()
        return cls(opencode_program(), folder / "project", folder / "home")

    def configure(self, swarm: Swarm, ctx: int) -> None:
        """As `lswarm opencode --write` does it."""
        block = block_of(Target(swarm.gateway.url, MODEL, ctx, needs_key=False, running=True))
        (self.folder / "opencode.json").write_text(json.dumps(block))

    async def start(self, *args: str) -> Program:
        folders = {f"XDG_{kind}_HOME": str(self.home / kind.lower()) for kind in FOLDERS}
        env = {**QUIET, **folders, "HOME": str(self.home)}
        command = (self.binary, "run", "--format", "json", *args)
        program = await Program.start(*command, cwd=self.folder, **env)
        assert program.process.stdin is not None
        program.process.stdin.close()  # it reads a message from there too
        return program

    async def run(self, *args: str, patience_s: float = PATIENCE_S) -> Turn:
        program = await self.start(*args)
        program.patience_s = patience_s
        lines = (await program.text(code=None)).splitlines()
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return Turn(events, program.process.returncode)

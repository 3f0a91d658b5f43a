"""Runs in llama-server's place for the suite: the real server, a bare proxy, or `lswarm up`.

What it is to be is in the environment: CONFORMANCE, the JSON that `Target.json` writes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.conformance import flags, transparent_proxy

VARIABLE = "CONFORMANCE"
LSWARM = (sys.executable, "-m", "local_swarm")


@dataclass(frozen=True, slots=True)
class Target:
    """`kind` is raw, proxy or ours; the models are paths."""

    kind: str
    server: str
    plain: str
    infill: str
    projector: str

    def json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def models(self) -> flags.Models:
        return flags.Models(Path(self.plain), Path(self.infill), Path(self.projector))


def main(argv: list[str]) -> None:
    target = Target(**json.loads(os.environ[VARIABLE]))
    given = flags.read(argv)
    if target.kind == "ours":
        become(flags.swarm(given, LSWARM, target.server, target.models))
    start = flags.native(given, target.server, target.models)
    if target.kind == "raw":
        become(start)
    asyncio.run(transparent_proxy.in_front_of(start))


def become(start: flags.Start) -> None:
    """The suite stops what it started by its pid."""
    os.execvpe(start.argv[0], start.argv, {**os.environ, **start.env})


if __name__ == "__main__":
    main(sys.argv[1:])

"""Whether answers' code can be run safely, where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.sandbox import unavailable
from local_swarm.swarm.doctor.finding import Context, Finding, error, ok


def check(context: Context) -> Iterator[Finding]:
    if not context.config.consensus.execute:
        yield ok("Answers are not run (consensus.execute is off).")
    elif (why := unavailable()) is None:
        yield ok("Answers can be run safely.")
    else:
        yield error(
            f"consensus.execute is on, and there is no safe place to run answers: {why}",
            "Install bubblewrap (docs/sandbox.md), or leave the setting out.",
        )

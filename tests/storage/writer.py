"""A process that keeps a document, for tests that run several or kill one.

`python writer.py FILE COUNT [LIMIT]`: adds 1 to it COUNT times, 0 for ever; with LIMIT no file may
grow beyond so many bytes. Prints `at work` once it has written.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from local_swarm.storage import Document


@dataclass(frozen=True, slots=True)
class Tally:
    count: int = 0
    ballast: str = ""


def tally(path: Path) -> Document[Tally]:
    return Document(path, Tally, 1, Tally(), what="the tally")


def more(known: Tally) -> Tally:
    return Tally(known.count + 1, "x" * 20_000)


def main(path: str, count: str, limit: str = "") -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    if limit:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    document, written = tally(Path(path)), 0
    while not int(count) or written < int(count):
        document.update(more)
        written += 1
        if written == 1:
            print("at work", flush=True)
    print(f"knows {document.read().count}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

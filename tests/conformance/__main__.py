"""Runs llama.cpp's own server tests against the raw server, a bare proxy and `lswarm up`.

    python -m tests.conformance SUITE LLAMA_SERVER [--python PYTHON] [--out FOLDER] [FILE ...]

SUITE is `tools/server/tests` of llama.cpp's sources; PYTHON has what its `requirements.txt` names
and pytest-timeout. No test may need a network. docs/conformance.md has the figures.
Exit code 1 where a test is lost and no reason is written down for it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from local_swarm.models.source import BUILTIN_DEMO
from tests.conformance import models, pytest_plugin, results
from tests.conformance.reasons import REASONS
from tests.conformance.stand_in import VARIABLE, Target
from tests.swarms import free_port

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "local_swarm" / "assets" / f"{BUILTIN_DEMO.split(':')[1]}.gguf"
TEST_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Suite:
    folder: Path
    python: str
    out: Path
    selected: tuple[str, ...]

    def run(self, target: Target, only: Path | None = None) -> results.Run:
        """All tests, or those listed in a file. Blocks until pytest has ended, minutes."""
        junit = self.out / f"{target.kind}.xml"
        command = [self.python, "-m", "pytest", "-q", "--tb=short", "-m", "not slow"]
        command += ["-p", "tests.conformance.pytest_plugin", f"--timeout={TEST_TIMEOUT_S}"]
        command += [f"--junitxml={junit}", "-o", "junit_logging=all", "-p", "no:cacheprovider"]
        with (self.out / f"{target.kind}.log").open("w") as log:
            subprocess.run(
                [*command, *self.selected],
                cwd=self.folder,
                env={**self._env(target), pytest_plugin.ONLY: str(only or "")},
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return results.outcomes(junit.read_text())

    def _env(self, target: Target) -> dict[str, str]:
        stand_in = self.out / "llama-server"
        stand_in.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m tests.conformance.stand_in "$@"\n'
        )
        stand_in.chmod(0o755)
        return {
            **os.environ,
            VARIABLE: target.json(),
            "LLAMA_SERVER_BIN_PATH": str(stand_in),
            "LLAMA_CACHE": str(self.out / "cache"),
            "LSWARM_HOME": str(self.out / "home"),
            "PORT": str(free_port()),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def main() -> int:
    asked = _arguments()
    out = asked.out or Path(tempfile.mkdtemp(prefix="conformance-"))
    out.mkdir(parents=True, exist_ok=True)
    files = models.make(out, DEMO)
    server = str(asked.server.resolve())
    paths = [str(path) for path in (files.plain, files.infill, files.projector)]
    suite = Suite(asked.suite, asked.python, out, tuple(asked.files))
    raw = suite.run(Target("raw", server, *paths))
    only = out / "passed-raw.txt"
    only.write_text("\n".join(results.passed(raw)))
    proxy = suite.run(Target("proxy", server, *paths), only)
    ours = suite.run(Target("ours", server, *paths), only)
    print(results.report(raw, proxy, ours, REASONS))
    print(f"\nThe logs are in {out}.", file=sys.stderr)
    return int(any(not d.why for d in results.differences(raw, proxy, ours, REASONS)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("suite", type=Path)
    parser.add_argument("server", type=Path)
    parser.add_argument("files", nargs="*", help="of the suite; all where none is named")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", type=Path)
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    sys.exit(main())

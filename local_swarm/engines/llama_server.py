"""The native llama-server: the user's own build, with the user's own GPU backend."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import extra_args as extra
from local_swarm.engines.asking import stdout_of
from local_swarm.engines.base import LIST_ENVIRONMENT, LIST_TIMEOUT_S, Availability
from local_swarm.engines.environment import worker_environment
from local_swarm.engines.flags import plan_flags
from local_swarm.errors import EngineError

PROGRAM = "llama-server"
INSTALL = (
    "Install llama.cpp (https://github.com/ggml-org/llama.cpp) or set `engine.path`; "
    "`pip install xllamacpp` needs no compiler."
)
# What a plan says and an older build does not understand.
NEEDED = ("--fit", "--no-cache-idle-slots", "--cache-ram", "--ctx-checkpoints", "--no-repack")
PROBE_TIMEOUT_S = 20.0
# `1234 (abcdef)`; since 0.5.0 `0.5.0-dev (build 1, commit abcdef)`, where many builds are 0.5.0-dev
VERSION = re.compile(r"version: (\S+)(?: \(build (\d+), commit (\w+)\))?")


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """`path` is the program's path, or "" for the one on PATH."""

    path: str = ""
    name: str = "llama-server"
    capabilities: Capabilities = field(default_factory=Capabilities)
    finds_devices: bool = True

    def program(self) -> str | None:
        """The executable, or None."""
        try:
            return shutil.which(str(Path(self.path).expanduser()) if self.path else PROGRAM)
        except RuntimeError:  # the home folder of a `~` or `~name` is not known
            return None

    def available(self) -> Availability:
        program = self.program()
        if program is None:
            where = f"at {self.path}" if self.path else "on PATH"
            return Availability(False, reason=f"There is no {PROGRAM} {where}.", install=INSTALL)
        try:
            changed_ns = Path(program).stat().st_mtime_ns
        except OSError as error:
            reason = f"{program} cannot be used: {error.strerror}."
            return Availability(False, reason=reason, install=INSTALL)
        return _probe(program, changed_ns)

    def devices(self) -> str | None:
        program = self.program()
        if program is None:
            return None
        try:
            changed_ns = Path(program).stat().st_mtime_ns
        except OSError:
            return None
        return _listed(program, changed_ns)

    def launch(
        self,
        worker: WorkerPlan,
        *,
        host: str,
        port: int,
        api_key: str,
        extra_args: Sequence[str] = (),
    ) -> LaunchSpec:
        program = self.program()
        if program is None:
            raise EngineError(self.available().reason, hint=INSTALL)
        return LaunchSpec(
            engine=self.name,
            argv=(program, *plan_flags(worker, host=host, port=port), *extra.check(extra_args)),
            host=host,
            port=port,
            env=worker_environment(worker, api_key),
            capabilities=self.capabilities,
        )


@functools.lru_cache(maxsize=8)
def _probe(program: str, _changed_ns: int) -> Availability:
    """Asks the program itself, once for every build."""
    try:
        known = _output(program, "--help")
        version = VERSION.search(_output(program, "--version"))
    except (OSError, subprocess.SubprocessError) as error:
        return Availability(False, reason=f"{program} does not run: {error}.", install=INSTALL)
    missing = [flag for flag in NEEDED if flag not in known]
    if missing:
        reason = f"{program} is too old (or another program): it has no {', '.join(missing)}."
        return Availability(False, reason=reason, install=INSTALL)
    words = (word for word in version.groups() if word) if version else ()
    return Availability(True, version="-".join(words) or None)


@functools.lru_cache(maxsize=8)
def _listed(program: str, _changed_ns: int) -> str | None:
    argv = (program, "--list-devices")
    return stdout_of(argv, timeout_s=LIST_TIMEOUT_S, env=LIST_ENVIRONMENT)


def _output(program: str, flag: str) -> str:
    done = subprocess.run(
        [program, flag],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PROBE_TIMEOUT_S,
        check=False,
    )
    return done.stdout.decode(errors="replace")

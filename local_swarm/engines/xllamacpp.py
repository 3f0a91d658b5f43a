"""llama-server out of the xllamacpp wheel, run as a child by `xllamacpp_runner.py`."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import extra_args as extra
from local_swarm.engines.asking import stdout_of
from local_swarm.engines.base import LIST_ENVIRONMENT, LIST_TIMEOUT_S, Availability
from local_swarm.engines.environment import worker_environment
from local_swarm.engines.flag_table import FlagError
from local_swarm.engines.flags import plan_flags
from local_swarm.engines.xllamacpp_flags import parse
from local_swarm.errors import UsageError

PACKAGE = "xllamacpp"
INSTALL = "Run `pip install xllamacpp`, or put llama.cpp's llama-server on PATH."
# Run by path and not with -m, which would let a file in the current directory (someone's cloned
# repository) stand in for a module.
RUNNER = Path(__file__).with_name("xllamacpp_runner.py")


@dataclass(frozen=True, slots=True)
class Xllamacpp:
    name: str = "xllamacpp"
    capabilities: Capabilities = field(default_factory=Capabilities)
    finds_devices: bool = False  # most wheels drive none, and asking costs a start of Python

    def available(self) -> Availability:
        if importlib.util.find_spec(PACKAGE) is None:
            reason = f"The Python package {PACKAGE} is not installed."
            return Availability(False, reason=reason, install=INSTALL)
        return Availability(True, version=importlib.metadata.version(PACKAGE))

    def devices(self) -> str | None:
        return _listed() if self.available().found else None

    def launch(
        self,
        worker: WorkerPlan,
        *,
        host: str,
        port: int,
        api_key: str,
        extra_args: Sequence[str] = (),
    ) -> LaunchSpec:
        flags = (*plan_flags(worker, host=host, port=port), *extra.check(extra_args))
        try:
            parse(flags)
        except FlagError as error:
            raise UsageError(str(error)) from None
        return LaunchSpec(
            engine=self.name,
            argv=(sys.executable, str(RUNNER), *flags),
            host=host,
            port=port,
            env=worker_environment(worker, api_key),
            capabilities=self.capabilities,
        )


@functools.cache
def _listed() -> str | None:
    """Asked of a process of its own, because importing the wheel can crash on a broken driver."""
    argv = (sys.executable, str(RUNNER), "--list-devices")
    return stdout_of(argv, timeout_s=LIST_TIMEOUT_S, env=LIST_ENVIRONMENT)

"""llama_cpp.server out of llama-cpp-python, run as a child by `llama_cpp_python_runner.py`."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines.asking import stdout_of
from local_swarm.engines.base import LIST_ENVIRONMENT, LIST_TIMEOUT_S, Availability
from local_swarm.engines.environment import worker_environment
from local_swarm.engines.llama_cpp_python_flags import extra_flags, plan_flags
from local_swarm.errors import EngineError

DISTRIBUTION = "llama-cpp-python"
MODULES = ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "pydantic_settings")
INSTALL = (
    "Run `pip install 'local_swarm[llama-cpp-python]'`: it compiles llama.cpp for some minutes. "
    "The engine xllamacpp needs no compiler."
)
# Run by path and not with -m, which would let a file in the current directory (someone's cloned
# repository) stand in for a module.
RUNNER = Path(__file__).with_name("llama_cpp_python_runner.py")
CAPABILITIES = Capabilities(
    slots=False,
    n=False,
    id_slot=False,
    logprobs=False,  # they need all logits of the context kept: n_ctx x vocabulary x 4 bytes
    tools=False,  # the template sees them, but nothing reads calls out of the answer
    metrics=False,
    tokens=False,
    slot_files=False,
    parallel=False,
    prompt_cache=False,
    experts_in_ram=False,
    process_bytes=72 * MIB,  # Python and its packages: 61 MiB at ready, 65 after answers
)


@dataclass(frozen=True, slots=True)
class LlamaCppPython:
    name: str = "llama-cpp-python"
    capabilities: Capabilities = field(default_factory=lambda: CAPABILITIES)
    finds_devices: bool = False  # most builds drive none, and asking costs a start of Python

    def available(self) -> Availability:
        missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
        if missing:
            reason = f"The Python package {DISTRIBUTION}[server] is not installed"
            what = "" if "llama_cpp" in missing else f" whole: there is no {missing[0]}"
            return Availability(False, reason=f"{reason}{what}.", install=INSTALL)
        return Availability(True, version=importlib.metadata.version(DISTRIBUTION))

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
        extra = extra_flags(extra_args)
        if why := _cannot(worker):
            raise EngineError(
                f"The engine {self.name} cannot run this plan: {why}.",
                hint="Use another engine (`--engine xllamacpp`), or plan without it.",
            )
        flags = (*plan_flags(worker, host=host, port=port), *extra)
        return LaunchSpec(
            engine=self.name,
            argv=(sys.executable, str(RUNNER), *flags),
            host=host,
            port=port,
            env=worker_environment(worker, api_key),
            capabilities=self.capabilities,
        )


def _cannot(worker: WorkerPlan) -> str:
    """What of the plan it has no setting for; "" where it has all."""
    if worker.slots != 1:
        return f"it has one slot, not {worker.slots}"
    if worker.mmproj or worker.draft:
        return "it loads no second model (models.mmproj, models.draft)"
    if worker.vectors:
        return "here it answers chats and completions only, and makes no embeddings"
    return "it leaves no experts in RAM" if worker.cpu_moe_layers else ""


@functools.cache
def _listed() -> str | None:
    """Asked of a process of its own, because importing the library can crash on a broken driver."""
    argv = (sys.executable, str(RUNNER), "--list-devices")
    return stdout_of(argv, timeout_s=LIST_TIMEOUT_S, env=LIST_ENVIRONMENT)

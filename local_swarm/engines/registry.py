"""The engines there are, and which one to use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from local_swarm.engines.base import Engine
from local_swarm.engines.llama_cpp_python import LlamaCppPython
from local_swarm.engines.llama_server import LlamaServer
from local_swarm.engines.xllamacpp import Xllamacpp
from local_swarm.errors import EngineError

# By name; each is made with `engine.path`. "auto" tries them in this order.
ENGINES: Mapping[str, Callable[[str], Engine]] = {
    "llama-server": lambda path: LlamaServer(path),
    "xllamacpp": lambda path: Xllamacpp(),
    "llama-cpp-python": lambda path: LlamaCppPython(),
}


def choose(name: str = "auto", *, path: str = "") -> Engine:
    """The engine called `name`, or with "auto" the first that is installed.

    A `path` means the native llama-server, also under "auto". Raises EngineError, saying what to
    install, when there is none.
    """
    if name != "auto" and name not in ENGINES:
        raise EngineError(f"There is no engine {name!r}.", hint=f"Use one of {', '.join(ENGINES)}.")
    if name == "auto" and path:
        name = "llama-server"
    wanted = list(ENGINES) if name == "auto" else [name]
    missing = []
    for engine in (ENGINES[each](path) for each in wanted):
        found = engine.available()
        if found.found:
            return engine
        missing.append(found)
    raise EngineError(" ".join(each.reason for each in missing), hint=missing[0].install)

"""The child of the llama-cpp-python engine: `python llama_cpp_python_runner.py <flags>`.

`python -m llama_cpp.server` with what that lacks: the key comes from LLAMA_API_KEY and no setting
from the environment, memory is what was planned, its answers are llama-server's
(`llama_cpp_python_adapter.py`), and it ends
  0  after SIGTERM or SIGINT, at once, also with requests in flight
  1  when the model or the port cannot be used (while the model loads, a signal simply kills)
  2  on a flag it does not know, or a value it cannot use
In each case but the first the last line on stderr says why. `--list-devices` lists the accelerators
that the build drives. On Linux it is killed when its parent ends.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
CPU, ACCELERATOR = 0, 3  # ggml_backend_dev_type: the CPU, and what only helps it (BLAS, AMX)


def fail(code: int, message: str) -> NoReturn:
    print(f"lswarm llama-cpp-python: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(2, message)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The server's own flags and the runner's. Ends the program on others."""
    from llama_cpp.server.cli import _parse_bool_arg, add_args_from_model
    from llama_cpp.server.settings import Settings

    from local_swarm.engines.llama_cpp_python_library import FLASH_ATTENTION

    parser = Parser(allow_abbrev=False)
    add_args_from_model(parser, Settings)
    parser.add_argument("--flash_attention", choices=FLASH_ATTENTION, default="auto")
    parser.add_argument("--repack", type=_parse_bool_arg, default=False)
    parser.add_argument("--device", choices=["none"])
    return parser.parse_args(argv)


def given_only(settings: Any, values: dict[str, Any]) -> Any:
    """The server's settings out of `values` and nothing else: it would also read the environment,
    under names as common as HOST and CACHE."""

    class Given(settings):  # type: ignore[misc]
        @classmethod
        def settings_customise_sources(cls, _: Any, init_settings: Any, *__: Any, **o: Any) -> Any:
            return (init_settings,)

    known = {k: v for k, v in values.items() if v is not None and k in settings.model_fields}
    try:
        return Given(**known)
    except ValueError as error:
        fail(2, str(error))


def application(args: argparse.Namespace, key: str, log: Any) -> Any:
    """The server with its model loaded. Ends the program where it cannot be."""
    import llama_cpp
    from llama_cpp.server import app as server
    from llama_cpp.server.settings import ModelSettings, ServerSettings

    from local_swarm.engines.llama_cpp_python_adapter import Adapter
    from local_swarm.engines.llama_cpp_python_library import telling

    values = {**vars(args), "api_key": key or None}
    model = given_only(ModelSettings, values)
    llama_cpp.Llama = telling(llama_cpp.Llama)
    try:
        app = server.create_app(
            server_settings=given_only(ServerSettings, values), model_settings=[model]
        )
    except Exception as error:  # whatever the library raises, there is no model
        fail(1, f"could not start {args.model}: {error} The lines above say why.")
    speak_like_llama_server(app)
    log.loading = False
    server._llama_proxy().verbose = False  # requests have nothing to say in a log
    return Adapter(app, model=model.model_alias)


def speak_like_llama_server(app: Any) -> None:
    """Errors that the server would answer itself; and no web page may read it."""
    from llama_cpp.server.errors import RouteErrorHandler
    from starlette.exceptions import HTTPException
    from starlette.middleware.cors import CORSMiddleware
    from starlette.responses import JSONResponse

    from local_swarm.engines.llama_cpp_python_adapter import tell
    from local_swarm.engines.llama_cpp_python_words import error_of, refusal

    def answered(_: Any, error: Exception, body: Any = None) -> Any:
        status, said = error_of(error)
        if status >= 500:
            tell(error)
        return status, said

    async def refused(_: Any, error: HTTPException) -> JSONResponse:
        said = {"error": refusal(error.status_code, error.detail)}
        return JSONResponse(said, error.status_code)

    RouteErrorHandler.error_message_wrapper = answered
    app.add_exception_handler(HTTPException, refused)
    app.user_middleware = [m for m in app.user_middleware if m.cls is not CORSMiddleware]


def print_devices() -> None:
    """The accelerators in the words of `llama-server --list-devices`."""
    from llama_cpp.llama_cpp import _lib as library

    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_name.restype = ctypes.c_char_p
    library.ggml_backend_dev_description.restype = ctypes.c_char_p
    print("Available devices:")
    found = [_device(library, number) for number in range(library.ggml_backend_dev_count())]
    for line in filter(None, found):
        print(line)
    if not any(found):
        print("  (none)")
    sys.stdout.flush()


def _device(library: Any, number: int) -> str | None:
    """One device's line; None for the CPU."""
    device = ctypes.c_void_p(library.ggml_backend_dev_get(ctypes.c_size_t(number)))
    if library.ggml_backend_dev_type(device) in (CPU, ACCELERATOR):
        return None
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    library.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    name = library.ggml_backend_dev_name(device).decode()
    model = library.ggml_backend_dev_description(device).decode(errors="replace")
    return f"  {name}: {model} ({total.value >> 20} MiB, {free.value >> 20} MiB free)"


def serve(app: Any, host: str, port: int) -> None:
    """Until a signal. Not through uvicorn's shutdown, which waits for clients: nothing here needs
    saving."""
    import uvicorn

    class Server(uvicorn.Server):  # type: ignore[misc]
        def handle_exit(self, *_: Any) -> None:
            os._exit(0)

    print(f"lswarm llama-cpp-python: listening on {host}:{port}", file=sys.stderr, flush=True)
    settings = {"log_config": None, "access_log": False, "lifespan": "off", "ws": "none"}
    Server(uvicorn.Config(app, host=host, port=port, **settings)).run()


def main(argv: Sequence[str]) -> None:
    from local_swarm.engines.child import die_with_parent, model_problem, port_problem

    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    if problem := die_with_parent():
        fail(1, problem)
    key = os.environ.pop("LLAMA_API_KEY", "")
    os.environ.pop("CONFIG_FILE", None)  # the server would take its models from there
    try:
        importlib.import_module("llama_cpp.server.app")
    except ImportError as error:
        fail(1, f"the package llama-cpp-python[server] does not load: {error}")
    if "--list-devices" in argv:
        print_devices()
        os._exit(0)
    from local_swarm.engines import llama_cpp_python_library as library

    args = parse(argv)
    if problem := model_problem(args.model) or port_problem(args.host, args.port):
        fail(1, problem)
    library.obey_plan(args)
    library.refuse_bad_grammars()
    log = library.Log()  # for as long as the library may call it
    serve(application(args, key, log), args.host, args.port)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    # This folder holds modules that are called like packages.
    sys.path[:] = [entry for entry in sys.path if entry != str(here)]
    if str(here.parents[1]) not in sys.path:
        sys.path.insert(0, str(here.parents[1]))
    main(sys.argv[1:])

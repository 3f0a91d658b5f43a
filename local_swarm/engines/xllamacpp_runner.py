"""The child of the xllamacpp engine: `python -m local_swarm.engines.xllamacpp_runner <flags>`.

Takes every flag a plan emits and those listed in `xllamacpp_flags.py`; the key comes from
LLAMA_API_KEY. Logs go to stderr. Ends with
  0  after SIGTERM or SIGINT, at once, also with requests in flight
  1  when the model or the port cannot be used (while the model loads, a signal simply kills)
  2  on a flag it does not know, or a value it cannot use
In each case but the first the last line on stderr says why. `--help` lists the flags, and
`--list-devices` the accelerators that the wheel drives. On Linux it is killed when its parent ends.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LOG_DRAIN_S = 0.1


def fail(code: int, message: str) -> NoReturn:
    print(f"lswarm xllamacpp: {message}", file=sys.stderr, flush=True)
    sys.exit(code)


def make_params(xl: Any, argv: Sequence[str]) -> Any:
    """CommonParams of these flags. What changes a worker from outside stays off."""
    from local_swarm.engines import xllamacpp_flags as flags
    from local_swarm.engines.flag_table import FlagError

    try:
        parsed = flags.parse(argv)
        params = xl.CommonParams()
        params.endpoint_slots = False
        params.slot_save_path = ""
        flags.apply(xl, params, parsed)
    except FlagError as error:
        fail(2, str(error))
    params.ui = params.endpoint_props = params.ui_mcp_proxy = False
    params.media_path = ""
    params.server_tools = []
    key = os.environ.pop("LLAMA_API_KEY", "")
    params.api_keys = [key] if key else []
    return params


def print_flags() -> None:
    from local_swarm.engines.xllamacpp_flags import FLAGS

    for flag in dict.fromkeys(FLAGS.values()):
        print(", ".join(flag.names) + (" VALUE" if flag.read else ""))


def print_devices(xl: Any) -> None:
    """The accelerators in the words of `llama-server --list-devices`."""
    cpu = xl.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
    devices = [device for device in xl.get_device_info() if device["type"] != cpu]
    print("Available devices:")
    for device in devices:
        total, free = (device[key] >> 20 for key in ("memory_total", "memory_free"))
        name, model = device["name"], device["description"]
        print(f"  {name}: {model} ({total} MiB, {free} MiB free)")
    if not devices:
        print("  (none)")
    sys.stdout.flush()


def start(xl: Any, params: Any) -> Any:
    """The running server. It holds the GIL until the model has loaded: no Python runs meanwhile."""
    from local_swarm.engines.child import model_problem, port_problem

    problem = model_problem(params.model.path) or port_problem(params.hostnames[0], params.port)
    if problem:
        fail(1, problem)
    try:
        return xl.Server(params)
    except RuntimeError as error:
        time.sleep(LOG_DRAIN_S)  # its log is written by a thread of its own; ours is the last line
        fail(1, f"could not start {params.model.path}: {error} The lines above say why.")


def wait_for_signal() -> None:
    """Returns at the first signal, whichever thread the kernel gives it to."""
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    woken.recv(1)


def main(argv: Sequence[str]) -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    from local_swarm.engines.child import die_with_parent

    if problem := die_with_parent():
        fail(1, problem)
    if "--help" in argv:
        print_flags()
        return
    try:
        import xllamacpp
    except ImportError as error:
        fail(1, f"the package xllamacpp does not load: {error}")
    if "--list-devices" in argv:
        print_devices(xllamacpp)
        os._exit(0)
    params = make_params(xllamacpp, argv)
    server = start(xllamacpp, params)
    print(f"lswarm xllamacpp: listening on {server.listening_address}", file=sys.stderr, flush=True)
    wait_for_signal()
    # Not through the C++ destructors, which wait for clients: nothing here needs saving.
    os._exit(0)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    # This folder holds an xllamacpp.py that is not the package.
    sys.path[:] = [entry for entry in sys.path if entry != str(here)]
    if str(here.parents[1]) not in sys.path:
        sys.path.insert(0, str(here.parents[1]))
    main(sys.argv[1:])

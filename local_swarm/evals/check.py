"""Run an answer with its tests in a child process that cannot do much harm by accident.

This is a limit on ACCIDENTS (endless loops, too much memory, too many processes, stray files)
and NOT a sandbox: the child can still read files and open sockets with the rights of the user.
It is for answers of the builtin model to our own tasks; anything else belongs in
`local_swarm.sandbox`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY_BYTES = 512 * 1024 * 1024
OUTPUT_BYTES = 4096
DETAIL_CHARS = 300
# Only a program that came past its last test ends with the status drawn for it; an answer that
# calls `exit()` does not.
STATUSES = range(64, 250)

# Runs in the child, before the answer: the parent may have threads, so there is no preexec_fn.
# Where a limit does not exist (Windows: none does) the others hold, the time limit always.
_GUARD = """\
import os, sys
memory, seconds, passed = (int(word) for word in sys.argv[2:5])
with open(sys.argv[1], encoding="utf-8") as file:
    source = file.read()
try:
    import resource
    limits = {"CORE": 0, "FSIZE": 0, "AS": memory, "CPU": seconds, "NPROC": 0}
except ImportError:
    limits = {}
for name, value in limits.items():
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
    except (AttributeError, ValueError, OSError):
        pass
# Root is exempt from RLIMIT_NPROC, so that starting a process is refused by a hook as well.
refused = ("os.fork", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "subprocess.", "pty.")
def refuse(event, arguments):
    if event.startswith(refused):
        raise PermissionError("an answer may not start a process")
sys.addaudithook(refuse)
del sys.argv[1:]
try:
    exec(compile(source, "<answer>", "exec"), {"__name__": "answer"})
except AssertionError as error:
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    lines = source.splitlines()
    line = lines[trace.tb_lineno - 1] if trace.tb_lineno <= len(lines) else ""
    sys.exit("AssertionError: " + (line.strip() or "assertion failed"))
except SystemExit:
    sys.exit("the answer ended the program")
os._exit(passed)
"""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether all tests passed; `detail` is empty then, else one line saying what went wrong."""

    passed: bool
    detail: str


def run_tests(answer_source: str, task_tests: str, *, timeout_s: float = 5.0) -> CheckResult:
    """Run `answer_source` followed by `task_tests` (asserts); blocks for about `timeout_s` at most.

    A fresh interpreter without site packages or environment, in a temporary directory, with
    limits on CPU time, memory, file size and processes, in a session of its own that is killed
    when it is done or late. Never raises for what the answer does.
    """
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryDirectory(prefix="lswarm-check-") as folder:
        program = Path(folder, "answer.py")
        program.write_text(f"{answer_source}\n{task_tests}", encoding="utf-8", errors="replace")
        passed_status = secrets.choice(STATUSES)
        words = [str(program), str(MEMORY_BYTES), str(int(timeout_s) + 1), str(passed_status)]
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _GUARD, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            cwd=folder, env={}, start_new_session=True,
        )  # fmt: skip
        said: list[bytes] = []
        reader = threading.Thread(
            target=_read, args=(process, said), name="lswarm-check", daemon=True
        )
        reader.start()
        late = False
        try:
            reader.join(timeout_s)  # the pipe closes the moment the child ends
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _end(process)
            reader.join(1.0)
    if late:
        return CheckResult(False, f"no result within {timeout_s:g} s")
    if process.returncode == passed_status:
        return CheckResult(True, "")
    return CheckResult(False, _reason(process.returncode, b"".join(said)))


def _read(process: subprocess.Popen[bytes], said: list[bytes]) -> None:
    """Keep the first OUTPUT_BYTES of the child's errors; more of it breaks the child's pipe."""
    assert process.stderr is not None
    with process.stderr as pipe, contextlib.suppress(OSError, ValueError):
        left = OUTPUT_BYTES
        while left > 0 and (chunk := os.read(pipe.fileno(), left)):
            said.append(chunk)
            left -= len(chunk)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group and collect the child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _reason(status: int, said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    if lines:
        return lines[-1].strip()[:DETAIL_CHARS]
    if status < 0:
        return f"killed by signal {-status}"
    return f"ended with status {status} before the tests were done"

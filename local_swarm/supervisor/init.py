"""For a supervisor that is the first process of a container (PID 1).

The kernel gives such a process every orphan of the container as a child, and treats signals to it
in ways of its own. Waiting for children of others in the supervisor would take the ends of its own
away from asyncio. So the first process becomes a small init (this file as a program: `python -I -S
init.py CHILD_PID`), which takes note of every end and passes signals on, and the supervisor goes on
as its child.
"""

import os
import signal
import sys

FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")


def step_aside() -> None:
    """Does nothing unless this is PID 1; then returns in a child of it, and never in PID 1 itself,
    which exits with the child's code (128 + N where signal N ended it). Call it before any thread
    is started."""
    if os.getpid() != 1:
        return
    waited = _waited()
    # Blocked, they wait for the program; PID 1 never gets a signal that it has not asked for.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.execv(sys.executable, [sys.executable, "-I", "-S", __file__, str(child)])


def main(child: int) -> int:
    """Blocks until `child` ends; returns the exit code for it. Its signals are blocked already."""
    waited = _waited()
    while True:
        told = signal.sigwaitinfo(waited)
        if told.si_signo == signal.SIGCHLD:
            if (code := _collected(child)) is not None:
                return code
        elif told.si_code <= 0:  # a process sent it; what a terminal sends reaches the child too
            os.kill(child, told.si_signo)


def _waited() -> "set[signal.Signals]":
    return {signal.SIGCHLD, *(signal.Signals[name] for name in FORWARDED)}


def _collected(child: int) -> "int | None":
    """Takes note of every end there is; the exit code where `child` is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))

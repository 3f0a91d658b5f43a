"""Runs a command that dies with its parent: `guard.py PARENT_PID COMMAND [ARG ...]`.

Started with `python -I -S` between the supervisor and each child, because the parent-death signal
(Linux) must be set in the child itself, and setting it between fork and exec from Python is unsafe
once threads exist. It survives the exec. The kernel sends it when the spawning *thread* ends, so
the supervisor spawns from its main thread.

Nothing runs before a byte has come on standard input: the supervisor sends it once all that watch
over the child know of it. When the supervisor is gone before, the command never runs.
"""

import os
import sys

RUN_CHILD = "LSWARM_RUN_CHILD"  # as in reaper.py
PR_SET_PDEATHSIG = 1
SIGKILL = 9
NOT_RUN = 127


def main(argv: "list[str]") -> None:
    """Never returns: becomes the command, or exits 127 when it cannot be run."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform in ("linux", "android"):
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        # The parent may have died before the line above, and its byte be there. Comparing with 1
        # would be wrong: in a container the supervisor is often PID 1 itself.
        if os.getppid() != parent:
            sys.exit(NOT_RUN)
    if not os.read(0, 1):
        sys.exit(NOT_RUN)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ[RUN_CHILD] = str(os.getpid())
    try:
        become(command)
    except OSError as exc:
        print(f"cannot run {command[0]}: {exc.strerror}", file=sys.stderr)
        sys.exit(NOT_RUN)


def become(command: "list[str]") -> None:
    """Never returns. Raises OSError where there is no such program."""
    if os.name != "nt":
        os.execvpe(command[0], command, os.environ)
    # exec is a second process there, whose end nobody would see: wait for it instead. The request
    # to end is for that one; the job of both ends with the supervisor.
    import signal
    import subprocess

    signal.signal(signal.SIGBREAK, signal.SIG_IGN)  # type: ignore[attr-defined,unused-ignore]
    sys.exit(subprocess.call(command))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Runs a command that dies with its parent (Linux): `guard.py PARENT_PID COMMAND [ARG ...]`.

Started with `python -I -S` between the supervisor and each child, because the parent-death signal
must be set in the child itself, and setting it between fork and exec from Python is unsafe once
threads exist. It survives the exec. The kernel sends it when the spawning *thread* ends, so the
supervisor spawns from its main thread. Elsewhere the command simply runs.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9


def main(argv: "list[str]") -> None:
    """Never returns: becomes the command, or exits 127 when it cannot be run."""
    parent, command = int(argv[0]), argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
        # The parent may have died before the line above. Comparing with 1 would be wrong: in a
        # container the supervisor is often PID 1 itself.
        if os.getppid() != parent:
            sys.exit(127)
    try:
        os.execvpe(command[0], command, os.environ)
    except OSError as exc:
        print(f"cannot run {command[0]}: {exc.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])

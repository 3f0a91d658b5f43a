"""Runs a command that cannot outlive whoever started it: `leash.py COMMAND [ARG ...]`.

Standard input is the leash: when it is let go (closed, or its holder has died, on any system), the
command is killed. When the command has ended, for whatever reason, everything else in this process
group is killed, which must be its own. Its output ends with the line ENDED where it ended of itself
(a crash too), and not by somebody's signal.

A program for throw-away children (`throwaway.py`), which imports it only for that line.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

ENDED = "leash: the command has ended"
SENT = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")  # what others end a program with


def main(command: "list[str]") -> None:
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)
    threading.Thread(target=hold, args=(child,), daemon=True).start()
    code = child.wait()
    if -code not in [getattr(signal, name, None) for name in SENT]:
        with contextlib.suppress(OSError):  # nobody may be left to read it
            os.write(1, f"\n{ENDED}\n".encode())
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)


def hold(child: "subprocess.Popen[bytes]") -> None:
    """Waits until the leash is let go. Not through sys.stdin: an exit would wait for its lock."""
    while os.read(0, 1024):
        pass
    child.kill()


if __name__ == "__main__":
    main(sys.argv[1:])

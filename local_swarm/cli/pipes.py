"""What becomes of output when nobody reads it any more: `lswarm logs | head`."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def until_closed() -> Iterator[None]:
    """Ends what runs inside quietly when the reader of stdout is gone, or on Ctrl-C, which is how
    people leave what has no end."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What is still buffered would complain again when the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def is_read() -> bool:
    """Whether somebody can still read stdout; True where the system does not tell."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return not poll.poll(0)
    except (AttributeError, OSError, ValueError):  # no poll on Windows; no file under tests
        return True

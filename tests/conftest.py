"""What holds for all tests."""

import logging
import signal
from collections.abc import Iterator

import pytest

from local_swarm.telemetry import logs

# A shell starts background jobs with Ctrl-C ignored, nohup with SIGHUP, and children inherit that:
# tests that send them would wait in vain.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command that is run in this process begins to log, at a level of its own."""
    loggers = logging.getLogger(), logging.getLogger(logs.ROOT)
    levels = [logger.level for logger in loggers]
    yield
    logs.stop()
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)

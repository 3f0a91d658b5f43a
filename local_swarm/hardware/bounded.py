"""Asks what may never answer, a driver say, without waiting for ever or piling up threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Bounded:
    """One question at a time, each in a daemon thread of its own. Safe to use from several threads.

    A question that is not answered in time is left behind, and while it is, later ones wait their
    time in vain: whatever hangs costs one thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._free = threading.Lock()

    def ask(self, question: Callable[[], T], timeout_s: float) -> T | None:
        """The answer; None where there was none in time, or an exception. Blocks `timeout_s` at
        most, raises nothing."""
        deadline = time.monotonic() + timeout_s
        if not self._free.acquire(timeout=max(0.0, timeout_s)):
            return None
        answers: list[T] = []
        thread = threading.Thread(
            target=self._work, args=(question, answers), name=self._name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # no thread can be started
            self._free.release()
            return None
        thread.join(max(0.0, deadline - time.monotonic()))
        return answers[0] if answers else None

    def _work(self, question: Callable[[], T], answers: list[T]) -> None:
        try:
            answers.append(question())
        except Exception:
            _log.debug("%s could not be read", self._name, exc_info=True)
        finally:
            self._free.release()

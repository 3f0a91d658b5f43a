"""What signals do to a command that waits for them, and how the time to stop is shared."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from local_swarm.config import Config, Supervisor, Swarm
from local_swarm.errors import Interrupted
from local_swarm.swarm import signals
from local_swarm.swarm.lifecycle import StopTimes
from local_swarm.swarm.signals import has_terminal, interruptible, is_ignored

PATIENCE_S = 20.0


async def for_ever() -> None:
    await asyncio.wait_for(asyncio.Event().wait(), PATIENCE_S)


async def signalled(number: signal.Signals) -> None:
    async with interruptible():
        os.kill(os.getpid(), number)
        await for_ever()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_interrupts_what_runs_inside(number: signal.Signals) -> None:
    with pytest.raises(Interrupted):
        await signalled(number)


async def test_one_that_was_taken_care_of_interrupts_nothing_and_the_next_does() -> None:
    taken = asyncio.Event()

    def asked() -> bool:
        first = not taken.is_set()
        taken.set()
        return first

    async def twice() -> None:
        async with interruptible(asked):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(taken.wait(), PATIENCE_S)
            os.kill(os.getpid(), signal.SIGTERM)
            await for_ever()

    with pytest.raises(Interrupted):
        await twice()


async def test_one_that_comes_when_all_is_done_still_counts() -> None:
    async def swallowing() -> None:
        """As a cleanup may that was under way."""
        with contextlib.suppress(asyncio.CancelledError):
            os.kill(os.getpid(), signal.SIGTERM)
            await for_ever()

    async def work() -> None:
        async with interruptible():
            await swallowing()

    with pytest.raises(Interrupted):
        await work()


async def test_a_cancellation_from_elsewhere_is_no_interruption() -> None:
    async def work() -> None:
        async with interruptible():
            await for_ever()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_hangup_is_a_reload_while_the_terminal_is_as_it_was() -> None:
    reloads = asyncio.Event()
    async with interruptible(reload=reloads.set):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(reloads.wait(), PATIENCE_S)


@pytest.mark.parametrize(("ignored", "ends"), [(False, True), (True, False)])
async def test_a_hangup_of_the_terminal_ends_it_unless_that_was_not_wanted(
    ignored: bool, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under `nohup`, which ignores the signal."""
    there = [True]
    asked, reloads = asyncio.Event(), asyncio.Event()
    monkeypatch.setattr(signals, "has_terminal", lambda: there[0])
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        async with interruptible(lambda: asked.set() or True, reloads.set):
            there[0] = False
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.wait_for((asked if ends else reloads).wait(), PATIENCE_S)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert asked.is_set() is ends


async def test_handlers_are_taken_away_again() -> None:
    async with interruptible():
        pass
    loop = asyncio.get_running_loop()
    assert not loop.remove_signal_handler(signal.SIGTERM)


async def test_without_handlers_of_the_loop_plain_ones_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    loop = asyncio.get_running_loop()

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(loop, "add_signal_handler", refuse)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        await signalled(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_terminal_is_there_or_not(tmp_path: Path) -> None:
    assert not has_terminal(str(tmp_path / "none"))
    assert has_terminal("/dev/null")
    assert not is_ignored(None)  # a system without the signal


@pytest.mark.parametrize(
    ("stop", "grace", "drain", "kill"),
    [(30.0, 5.0, 22.5, 29.5), (4.0, 5.0, 2.0, 3.5), (0.5, 5.0, 0.25, 0.25)],
)
def test_the_time_to_stop_holds_the_drain_and_the_ladder(
    stop: float, grace: float, drain: float, kill: float
) -> None:
    config = Config(swarm=Swarm(stop_timeout_s=stop), supervisor=Supervisor(term_grace_s=grace))
    assert StopTimes.of(config) == StopTimes(drain, kill)

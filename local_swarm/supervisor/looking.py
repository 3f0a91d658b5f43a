"""Looks at the workers every second, tells stopped ones to go on, and has hung ones killed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import psutil

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.domain.worker import WorkerState
from local_swarm.supervisor.fleet import Fleet
from local_swarm.supervisor.keeper import Keeper
from local_swarm.supervisor.progress import Finding, Limits, Look, Track, judge
from local_swarm.telemetry.logs import get_logger

log = get_logger(__name__)

EVERY_S = 1.0
ASK_AFTER_S = 5.0  # without a word: each question costs a line in the worker's log
ANSWER_S = 2.0
MOVING = ("id_task", "n_prompt_tokens", "n_prompt_tokens_processed", "n_decoded", "n_remain")
"""What of a slot of llama-server's /slots changes while it works."""


@dataclass(slots=True)
class Watcher:
    """A watch for `Fleet(watches=...)`. `limits` may be replaced while it runs."""

    limits: Limits
    every_s: float = EVERY_S
    ask_after_s: float = ASK_AFTER_S

    async def __call__(self, fleet: Fleet) -> None:
        tracks: dict[tuple[str, int], Track] = {}
        while True:
            living = [k for k in fleet.keepers.values() if k.child is not None]
            seen = await asyncio.gather(*(self._look(fleet, k, tracks) for k in living))
            tracks = {key: track for key, track in seen if track is not None}
            await asyncio.sleep(self.every_s)

    async def _look(
        self, fleet: Fleet, keeper: Keeper, tracks: dict[tuple[str, int], Track]
    ) -> tuple[tuple[str, int], Track | None]:
        key = (keeper.job.id, keeper.worker.generation)
        before = tracks.get(key)
        asks = before is not None and before.quiet_s >= self.ask_after_s
        look = await self._seen(fleet, keeper, asks=asks)
        if look is None or (keeper.job.id, keeper.worker.generation) != key:
            return key, None
        judgement = judge(before or Track.begin(look), look, self.limits)
        if judgement.finding is Finding.STOPPED:
            log.warning("worker was stopped by a signal and is told to go on", worker=key[0])
            _resume(keeper)
        if judgement.finding is Finding.HUNG:
            log.error("worker hangs", worker=key[0], why=judgement.why)
            fleet.hung(*key, f"hangs: {judgement.why}")
            return key, None
        return key, judgement.track

    async def _seen(self, fleet: Fleet, keeper: Keeper, *, asks: bool) -> Look | None:
        child, spec = keeper.child, keeper.spec
        if child is None or spec is None:
            return None
        see = functools.partial(_process, child.pid, deep=asks)
        process = await asyncio.to_thread(see) if asks else see()
        if process is None:
            return None
        takes_traffic = keeper.worker.state in (WorkerState.READY, WorkerState.DRAINING)
        answers, slots = await _asked(fleet.session, keeper, spec) if asks else (None, None)
        return Look(
            now=time.monotonic(),
            wanted=takes_traffic and fleet.demand.in_flight > 0,
            heard=keeper.heard,
            stopped=process.stopped,
            cpu_s=process.cpu_s,
            answers=answers,
            slots=slots,
            tells=spec.capabilities.slots,
            on_device=keeper.running.devices != (CPU_DEVICE,),
        )


@dataclass(frozen=True, slots=True)
class _Process:
    stopped: bool
    cpu_s: float | None


def _process(pid: int, *, deep: bool) -> _Process | None:
    """`deep`: with the CPU time of it and its children, an engine behind a wrapper's among them;
    that takes milliseconds for each hundred processes of the machine. A process that is traced is
    not stopped: somebody looks at it."""
    try:
        process = psutil.Process(pid)
        stopped = process.status() == psutil.STATUS_STOPPED
        return _Process(stopped, _cpu_s(process) if deep else None)
    except psutil.Error:
        return None


def _cpu_s(process: psutil.Process) -> float:
    spent = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = each.cpu_times()
            spent += times.user + times.system
    return spent


def _resume(keeper: Keeper) -> None:
    with contextlib.suppress(psutil.Error):
        if keeper.child is not None:
            psutil.Process(keeper.child.pid).resume()


async def _asked(
    session: aiohttp.ClientSession, keeper: Keeper, spec: LaunchSpec
) -> tuple[bool, tuple[object, ...] | None]:
    """Whether its HTTP server answers, and what its busy slots have done."""
    base = f"http://{spec.host}:{spec.port}"
    questions = [_got(session, base + spec.ready_path, "")]
    if spec.capabilities.slots:
        questions.append(_got(session, base + "/slots", keeper.running.api_key))
    health, *slots = await asyncio.gather(*questions)
    return health is not None, _moving(slots[0]) if slots else None


async def _got(session: aiohttp.ClientSession, url: str, key: str) -> bytes | None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    with contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError, OSError):
        async with session.get(url, headers=headers, timeout=timeout) as response:
            body = await response.read()
            return body if response.status == 200 else None
    return None


def _moving(body: bytes | None) -> tuple[object, ...] | None:
    """What changes in slots that are busy; None where that was not told."""
    try:
        slots = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return None
    if not isinstance(slots, list):
        return None
    return tuple(_numbers(s) for s in slots if isinstance(s, dict) and s.get("is_processing"))


def _numbers(slot: dict[str, Any]) -> tuple[object, ...]:
    tokens = slot.get("next_token")
    first = tokens[0] if isinstance(tokens, list) and tokens else tokens
    merged = {**slot, **(first if isinstance(first, dict) else {})}
    return tuple(merged.get(name) for name in MOVING)

"""What a worker's slots hold, kept over a planned restart: in files, for its next life.

The files hold prompts. They lie in a directory of this run that only its owner can open, and each
is removed as soon as it has been read again. Whatever fails here costs prompts, never the restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from local_swarm.domain.launch import LaunchSpec
from local_swarm.domain.memory import GIB
from local_swarm.supervisor.job import Job
from local_swarm.telemetry.logs import get_logger

WITHIN_S = 30.0
FREE_BYTES, FREE_SHARE = 2 * GIB, 0.1
TROUBLE = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError, KeyError, TypeError)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeptSlot:
    """One slot's prompt on disk, for lives of the same `identity` (`LaunchSpec.slot_files`)."""

    slot: int
    path: Path
    tokens: int
    bytes: int
    identity: str


def leaves_room(free_bytes: int, total_bytes: int, file_bytes: int) -> bool:
    """Whether a file of this size leaves 2 GiB of the disk free, or a tenth of a smaller one."""
    return free_bytes - file_bytes >= min(FREE_BYTES, int(total_bytes * FREE_SHARE))


async def save(
    session: aiohttp.ClientSession,
    spec: LaunchSpec,
    api_key: str,
    slots: Collection[int],
    *,
    slot_bytes: int,
    within_s: float = WITHIN_S,
) -> tuple[KeptSlot, ...]:
    """Writes what these of the worker's slots hold, the longest first; those that are busy are
    left out. To be called when the worker is drained, before it is stopped.

    `slot_bytes` is the most that one file takes. Ends after `within_s` seconds, or where the disk
    has no room for one more. Raises nothing; `forget` what is then not restored.
    """
    kept: list[KeptSlot] = []
    worker = _Worker(session, spec, api_key, time.monotonic() + within_s)
    if spec.slot_files is None:
        return ()
    try:
        for slot in _worth_keeping(await worker.slots(), slots):
            if not await asyncio.to_thread(_has_room, spec.slot_files.directory, slot_bytes):
                log.warning("slots not kept: the disk has no room", slot=slot)
                break
            if one := await _save(worker, spec.slot_files.directory, slot):
                kept.append(one)
    except TROUBLE as error:
        log.warning("slots not kept", error=f"{type(error).__name__}: {error}", kept=len(kept))
    except asyncio.CancelledError:
        forget(kept)
        raise
    return tuple(kept)


async def restore(
    session: aiohttp.ClientSession,
    spec: LaunchSpec,
    api_key: str,
    kept: Sequence[KeptSlot],
    *,
    within_s: float = WITHIN_S,
) -> tuple[int, ...]:
    """Reads files of `save` into the slots of the worker's next life, and removes them all.

    To be called when the engine is ready and before it takes requests. Gives the slots that hold
    again what they held; none of a life with another model or other settings. Ends after `within_s`
    seconds. Raises nothing.
    """
    worker = _Worker(session, spec, api_key, time.monotonic() + within_s)
    identity = spec.slot_files.identity if spec.slot_files else None
    restored: list[int] = []
    try:
        for one in kept:
            if one.identity == identity:
                answer = await worker.act(one.slot, "restore", one.path.name)
                if answer and answer["n_restored"] == one.tokens:
                    restored.append(one.slot)
    except TROUBLE as error:
        log.warning("slots not restored", error=f"{type(error).__name__}: {error}")
    finally:
        await asyncio.to_thread(forget, kept)
    return tuple(restored)


def forget(kept: Iterable[KeptSlot]) -> None:
    """Removes the files, where there are any. Blocks; raises nothing."""
    for one in kept:
        _remove(one.path)


class SlotKeeping:
    """What is kept of one worker between two of its lives."""

    def __init__(self) -> None:
        self.kept: tuple[KeptSlot, ...] = ()

    async def save(self, session: aiohttp.ClientSession, spec: LaunchSpec, job: Job) -> None:
        """As `save`, of all slots."""
        self.kept = await save(
            session, spec, job.api_key, range(job.slots), slot_bytes=job.slot_bytes
        )

    async def restore(self, session: aiohttp.ClientSession, spec: LaunchSpec, job: Job) -> None:
        """As `restore`; nothing is kept after that."""
        kept, self.kept = self.kept, ()
        await restore(session, spec, job.api_key, kept)

    async def forget(self) -> None:
        """Nothing will be restored."""
        kept, self.kept = self.kept, ()
        if kept:
            await asyncio.to_thread(forget, kept)


@dataclass(frozen=True, slots=True)
class _Worker:
    """Requests to one life of a worker, until `deadline_s` (monotonic). They raise TROUBLE."""

    session: aiohttp.ClientSession
    spec: LaunchSpec
    api_key: str
    deadline_s: float

    async def slots(self) -> Any:
        return await self._request("GET", "/slots")

    async def act(self, slot: int, action: str, filename: str) -> Any:
        """None where the worker refuses, which concerns this slot only."""
        path = f"/slots/{slot}?action={action}"
        try:
            return await self._request("POST", path, {"filename": filename})
        except aiohttp.ClientResponseError as error:
            log.warning("a slot not kept", slot=slot, action=action, status=error.status)
            return None

    async def _request(self, method: str, path: str, body: Mapping[str, str] | None = None) -> Any:
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise asyncio.TimeoutError("the time is up")
        async with self.session.request(
            method,
            f"http://{self.spec.host}:{self.spec.port}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=aiohttp.ClientTimeout(total=left_s),
            raise_for_status=True,
        ) as response:
            return await response.json()


async def _save(worker: _Worker, directory: str, slot: int) -> KeptSlot | None:
    """None where the slot turns out to be empty, or is not saved. Raises TROUBLE."""
    assert worker.spec.slot_files is not None
    path = Path(directory) / f"{secrets.token_hex(8)}.bin"
    kept = None
    try:
        answer = await worker.act(slot, "save", path.name)
        if answer and (tokens := int(answer["n_saved"])) > 0:
            identity = worker.spec.slot_files.identity
            kept = KeptSlot(slot, path, tokens, int(answer["n_written"]), identity)
    finally:
        if kept is None:
            _remove(path)
    return kept


def _worth_keeping(told: Any, slots: Collection[int]) -> list[int]:
    """The idle ones of `slots` that hold anything, the longest first. One that was restored and
    not used since does not tell how much it holds, and comes last."""
    idle = [slot for slot in told if slot["id"] in slots and not slot["is_processing"]]
    held = {slot["id"]: slot.get("n_prompt_tokens") for slot in idle}
    return sorted((s for s in held if held[s] != 0), key=lambda s: -(held[s] or 0))


def _has_room(directory: str, file_bytes: int) -> bool:
    disk = shutil.disk_usage(directory)
    return leaves_room(disk.free, disk.total, file_bytes)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

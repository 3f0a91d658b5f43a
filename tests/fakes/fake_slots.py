"""Slots as llama-server keeps them: pinning, prefixes, and a queue in which big requests starve."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Slot:
    id: int
    n_ctx: int
    tokens: list[str] = field(default_factory=list)
    task: int | None = None
    busy: bool = False
    cached: int = 0
    prompt_tokens: int = 0
    decoded: int = 0
    last_used: int = 0

    def view(self) -> dict[str, Any]:
        seen: dict[str, Any] = {
            "id": self.id,
            "n_ctx": self.n_ctx,
            "speculative": False,
            "is_processing": self.busy,
        }
        if self.task is not None:
            seen |= {
                "id_task": self.task,
                "n_prompt_tokens": len(self.tokens),
                "n_prompt_tokens_processed": self.prompt_tokens - self.cached,
                "n_prompt_tokens_cache": self.cached,
                "params": {"n_predict": -1, "stream": True},
                "next_token": [{"has_next_token": self.busy, "n_decoded": self.decoded}],
            }
        return seen


def common_prefix(a: list[str], b: list[str]) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length


class Slots:
    """`acquire` waits until the wanted slots are free; the first that fits goes first."""

    def __init__(self, count: int, n_ctx: int) -> None:
        self.all = [Slot(i, n_ctx) for i in range(count)]
        self._waiting: list[tuple[int, int, list[str], asyncio.Future[list[Slot]]]] = []
        self._clock = 0

    @property
    def busy(self) -> int:
        return sum(slot.busy for slot in self.all)

    @property
    def deferred(self) -> int:
        return len(self._waiting)

    async def acquire(self, n: int, id_slot: int, tokens: list[str]) -> list[Slot]:
        """`n` slots, the parent's first. An unknown `id_slot` means any, as in llama-server."""
        future: asyncio.Future[list[Slot]] = asyncio.get_running_loop().create_future()
        entry = (n, id_slot, tokens, future)
        self._waiting.append(entry)
        self._serve()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(*future.result())
            elif entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def release(self, *slots: Slot) -> None:
        for slot in slots:
            self._clock += 1
            slot.busy, slot.last_used = False, self._clock
        self._serve()

    def _serve(self) -> None:
        for entry in list(self._waiting):
            n, id_slot, tokens, future = entry
            chosen = self._choose(n, id_slot, tokens)
            if chosen is None:
                continue
            self._waiting.remove(entry)
            for slot in chosen:
                self._clock += 1
                slot.busy, slot.task, slot.decoded = True, self._clock, 0
                slot.cached = min(common_prefix(chosen[0].tokens, tokens), len(tokens) - 1)
                slot.prompt_tokens = len(tokens)
            for slot in chosen:
                slot.tokens = list(tokens)
            future.set_result(chosen)

    def _choose(self, n: int, id_slot: int, tokens: list[str]) -> list[Slot] | None:
        free = [slot for slot in self.all if not slot.busy]
        if len(free) < n:
            return None
        if 0 <= id_slot < len(self.all):
            parent = self.all[id_slot]
            if parent.busy:
                return None
        else:
            parent = self._by_prefix(free, tokens)
        return [parent, *[slot for slot in free if slot is not parent][: n - 1]]

    def _by_prefix(self, free: list[Slot], tokens: list[str]) -> Slot:
        best = max(free, key=lambda slot: common_prefix(slot.tokens, tokens))
        if common_prefix(best.tokens, tokens) > 0.1 * len(tokens):
            return best
        return min(free, key=lambda slot: slot.last_used)

"""One question to the planner: a machine and wishes, and all the layouts they leave open. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from local_swarm.budget.groups import CPU_GROUP, Grouping, dealt, groupings
from local_swarm.budget.kv import CTX_STEP, pad
from local_swarm.budget.limits import PHONE, Limits, limits, usable_cores
from local_swarm.budget.seating import Seating, seatings
from local_swarm.budget.wishes import Wishes
from local_swarm.domain.hardware import HostSnapshot
from local_swarm.errors import UsageError

DEFAULT_CTX = 16384
LEAST_CTX = 4096
PHONE_CTX = 2048
CACHE_TYPES = ("f16", "q8_0")
POOL_SHARE = 4


@dataclass(frozen=True, slots=True)
class Cache:
    """How a worker's slots keep what they read: each in cells of its own, or all in one pool."""

    type: str
    unified: bool = False


def least_pool(ctx: int, slots: int) -> int:
    """The fewest cells of a pool that is still of use, in tokens.

    One slot can be as long as it may be, and each of the others has a fourth of that. The slots of
    one request share its prompt (measured, docs/budget.md), so a vote has that much for each answer
    beside the longest prompt that leaves room for answers of this length.
    """
    return pad(ctx + (slots - 1) * (ctx // POOL_SHARE), CTX_STEP)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which devices each worker gets, and how many slots."""

    grouping: Grouping
    seating: Seating


@dataclass(frozen=True, slots=True)
class Stage:
    """Layouts that are worth the same to the user, best first."""

    layouts: tuple[Layout, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """`cores` are shared by all workers."""

    host: HostSnapshot
    wishes: Wishes
    limits: Limits
    cores: int

    @property
    def is_phone(self) -> bool:
        return self.host.os == PHONE

    @property
    def default_ctx(self) -> int:
        return PHONE_CTX if self.is_phone else DEFAULT_CTX

    @property
    def least_ctx(self) -> int:
        """The shortest context that is traded down to."""
        return PHONE_CTX if self.is_phone else LEAST_CTX

    @property
    def wants_gpus(self) -> bool:
        """Whether the user named devices, or what to put on them."""
        named = self.wishes.devices or self.wishes.tensor_split
        return bool(named) or self.wishes.gpu_layers != "auto"

    @property
    def without_gpus(self) -> Case:
        gpus = self.limits.gpus
        return replace(self, limits=replace(self.limits, gpus=(), idle=gpus))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All layouts in the order in which things are given up: voters, then the lane.

        Raises UsageError where no layout meets the wishes.
        """
        layouts = sorted(_layouts(self), key=_worth)
        return tuple(Stage(tuple(alike)) for _, alike in groupby(layouts, key=_worth))


def case_of(host: HostSnapshot, wishes: Wishes) -> Case:
    """Raises UsageError for devices that are not there."""
    return Case(host, wishes, limits(host, wishes), usable_cores(host.cpu))


def _worth(layout: Layout) -> tuple[int, int]:
    return -layout.seating.voters, -layout.seating.lanes


def _layouts(case: Case) -> Iterator[Layout]:
    wishes, gpus = case.wishes, case.limits.gpus
    if wishes.workers != "auto" or (wishes.in_processes and not wishes.tensor_split):
        for seat in seatings(wishes, case.cores, gpus=len(gpus)):
            yield from (Layout(grouping, seat) for grouping in dealt(gpus, seat.workers))
        return
    refused: UsageError | None = None
    found = False
    for grouping in _one_worker_each(case):
        on_gpus = len(grouping) if gpus else 0
        try:
            seats = seatings(wishes, case.cores, gpus=on_gpus)
        except UsageError as error:  # more workers may have the slots that were asked for
            refused = error
            continue
        found = True
        yield from (Layout(grouping, seat) for seat in seats)
    if refused and not found:
        raise refused


def _one_worker_each(case: Case) -> tuple[Grouping, ...]:
    wishes, gpus = case.wishes, case.limits.gpus
    if wishes.tensor_split:
        return ((gpus or CPU_GROUP,),)
    room = case.cores // (1 if wishes.threads == "auto" else wishes.threads)
    return groupings(gpus, max(1, room))

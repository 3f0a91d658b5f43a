"""Which devices each worker gets. Pure.

One group of devices per worker; an empty group is the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from local_swarm.budget.limits import Pool

Group = tuple[Pool, ...]
Grouping = tuple[Group, ...]

CPU_GROUP: Group = ()


def groupings(gpus: Sequence[Pool], most_workers: int) -> tuple[Grouping, ...]:
    """Ways to run one worker per device or per equal group of devices, best first.

    Whole models on single devices come before models split over several, which compute one after
    the other; all devices before the largest few. `most_workers` is what the cores allow.
    """
    if not gpus:
        return ((CPU_GROUP,),)
    found = [*_singles(gpus, most_workers), *_splits(gpus, most_workers)]
    return tuple(dict.fromkeys(found))


def dealt(gpus: Sequence[Pool], workers: int) -> tuple[Grouping, ...]:
    """Ways to run so many workers, best first: on all devices, without the smallest, ...

    Where there are more devices than workers each has several, else workers share devices.
    """
    if not gpus:
        return ((CPU_GROUP,) * workers,)
    found = []
    for kept in _largest(gpus):
        if workers >= len(kept):
            found.append(_shared(kept, workers))
        elif workers <= len(together := one_group(kept)):
            found.append(_cut(together, workers))
    return tuple(dict.fromkeys(found))


def one_group(gpus: Sequence[Pool]) -> Group:
    """All devices that one worker can be split over: those of the backend with most memory, or one
    that stands alone where that has more."""
    groups: list[Group] = [(gpu,) for gpu in gpus if gpu.alone]
    backends = dict.fromkeys(gpu.backend for gpu in gpus if not gpu.alone)
    groups += [tuple(g for g in gpus if g.backend == b and not g.alone) for b in backends]
    return max(groups, key=lambda group: sum(gpu.usable_bytes for gpu in group), default=())


def _largest(gpus: Sequence[Pool]) -> Iterator[Group]:
    """All devices; without the smallest, without the two smallest, ..."""
    by_size = sorted(gpus, key=lambda gpu: -gpu.usable_bytes)
    for count in range(len(gpus), 0, -1):
        yield tuple(gpu for gpu in gpus if gpu in by_size[:count])


def _singles(gpus: Sequence[Pool], most_workers: int) -> Iterator[Grouping]:
    """Each device alone."""
    for kept in _largest(gpus):
        if len(kept) <= most_workers:
            yield tuple((gpu,) for gpu in kept)


def _splits(gpus: Sequence[Pool], most_workers: int) -> Iterator[Grouping]:
    """Equal groups of one backend, the smallest first; at last all in one."""
    for kept in _largest(one_group(gpus)):
        for size in range(2, len(kept) + 1):
            workers, rest = divmod(len(kept), size)
            if not rest and workers <= most_workers:
                yield _cut(kept, workers)


def _shared(gpus: Sequence[Pool], workers: int) -> Grouping:
    """The next worker goes where its share of memory is the largest."""
    counts = [0] * len(gpus)
    for _ in range(workers):
        shares = [(gpu.usable_bytes / (n + 1), -n) for gpu, n in zip(gpus, counts, strict=True)]
        counts[shares.index(max(shares))] += 1
    return tuple((gpu,) for gpu, count in zip(gpus, counts, strict=True) for _ in range(count))


def _cut(gpus: Sequence[Pool], workers: int) -> Grouping:
    """Neighbours in `workers` groups, as equal as can be."""
    size, rest = divmod(len(gpus), workers)
    ends = [size * n + min(n, rest) for n in range(workers + 1)]
    return tuple(tuple(gpus[a:b]) for a, b in pairwise(ends))

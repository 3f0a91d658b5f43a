#!/usr/bin/env python3
"""Writes docs/plans.md: what would run on each machine of conf/hosts, where no model is named.

The same on every machine: neither this one's hardware, nor its engine, its models or its settings
are looked at. `--check` writes nothing and exits 1 where the file is not what would be written.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_swarm import budget, hardware
from local_swarm.budget import Wishes
from local_swarm.cli.render import rejected
from local_swarm.domain.hardware import Device, HostSnapshot
from local_swarm.domain.memory import format_bytes
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, DeviceBudget, Plan, WorkerPlan
from local_swarm.models import Store, catalogue
from local_swarm.models.candidates import by_worth, listed

ROOT = Path(__file__).resolve().parent.parent
HOSTS, CATALOGUE = ROOT / "conf" / "hosts", ROOT / "conf" / "models.toml"
DOCUMENT = ROOT / "docs" / "plans.md"
NO_STORE = Store(Path(os.devnull) / "models")
MOST_REJECTED = 5
INTRODUCTION = """\
# What would my machine run?
<!-- Written by bin/sample_plans.py: change that, or the planner, and run it again. -->

For each of the sample machines in `conf/hosts`: what the planner chooses when no model is named,
from the whole catalogue (`conf/models.toml`), with the default settings and nothing downloaded.
Find the machine that is most like yours, or ask for your own with `lswarm plan`; for one that is
elsewhere, write `lswarm hardware --json > host.json` there and
`lswarm plan --hardware-file host.json` here. How sizes are worked out is in
[budget.md](budget.md); where an engine is installed it is asked for its own, and what it says may
differ by a little.

A worker is one process. Each of its slots answers one request at a time; that many of the slots as
there are voters answer the same question, and the vote chooses among them. Context is tokens per
slot. Memory is what the plan takes of what it may use, on the accelerators where it runs on some,
else in RAM; what an accelerator takes that works in the RAM is counted there as well."""


@dataclass(frozen=True)
class Sample:
    """A machine, what it would run, and the facts of that model."""

    name: str
    host: HostSnapshot
    plan: Plan
    model: ModelFacts


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="write nothing, compare")
    options.add_argument("--file", type=Path, default=DOCUMENT, help="instead of docs/plans.md")
    given = options.parse_args()
    text = document(samples(sorted(HOSTS.glob("*.json"))))
    if not given.check:
        given.file.write_text(text, encoding="utf-8")
        return 0
    if given.file.is_file() and given.file.read_text(encoding="utf-8") == text:
        return 0
    print(f"{given.file.name} is not current: run bin/sample_plans.py.", file=sys.stderr)
    return 1


def samples(paths: Iterable[Path]) -> Iterator[Sample]:
    """Plans from the shipped catalogue alone (a user's own would be read by default)."""
    entries = catalogue.load(CATALOGUE)
    candidates = list(listed(NO_STORE, by_worth(entries)))
    for path in paths:
        host = hardware.load(path)
        plan = budget.choose(host, candidates, Wishes())
        chosen = next(each for each in candidates if each.model_id == plan.model_id)
        yield Sample(path.stem, host, plan, chosen.facts())


def document(found: Iterable[Sample]) -> str:
    every = list(found)
    sections = (_section(sample) for sample in every)
    return "\n".join([INTRODUCTION, "", *_summary(every), *(x for s in sections for x in s)]) + "\n"


def _summary(found: Sequence[Sample]) -> Iterator[str]:
    yield from _table(
        ("machine", "model", "workers x slots", "voters", "context", "memory"),
        (
            (
                f"[{sample.name}](#{sample.name})",
                f"`{sample.plan.model_id}`",
                f"{len(sample.plan.workers)} x {sample.plan.workers[0].slots}",
                sample.plan.voters,
                sample.plan.workers[0].ctx,
                _used(sample.plan),
            )
            for sample in found
        ),
    )


def _used(plan: Plan) -> str:
    on_gpus = plan.workers[0].devices != (CPU_DEVICE,)
    rows = [row for row in plan.budget if (row.device != CPU_DEVICE) == on_gpus]
    planned, usable = (sum(sizes) for sizes in zip(*map(_sizes, rows), strict=True))
    used = sum(row.planned_bytes > 0 for row in rows)
    where = _devices(used, len(rows)) if on_gpus else " of RAM"
    return f"{format_bytes(planned)} of {format_bytes(usable)}{where}"


def _devices(used: int, there: int) -> str:
    if there == 1:
        return ""
    return f" on {there} devices" if used == there else f" ({used} of {there} devices)"


def _sizes(row: DeviceBudget) -> tuple[int, int]:
    return row.planned_bytes, row.usable_bytes


def _section(sample: Sample) -> Iterator[str]:
    plan, model = sample.plan, sample.model
    yield from ("", f"## {sample.name}", _machine(sample.host), "")
    many = f"{len(plan.workers)} workers" if len(plan.workers) > 1 else "one worker"
    yield f"**`{plan.model_id}`** ({format_bytes(model.size_bytes)}), {many}, {plan.voters} voters:"
    yield ""
    yield from _table(
        ("worker", "devices", "layers on them", "slots", "context", "cache", "threads"),
        (_worker(worker, model.layers * model.loops + 1) for worker in plan.workers),
    )
    yield ""
    yield from _table(
        ("device", "planned", "usable", "total"),
        (
            (_memory(row.device), *map(format_bytes, (*_sizes(row), row.total_bytes)))
            for row in plan.budget
        ),
    )
    yield ""
    yield from (f"- {reason}" for reason in plan.reasons)
    others = ((one.model, one.why) for one in plan.rejected)
    not_chosen = list(rejected.lines(others, most=MOST_REJECTED, more=""))
    if not_chosen:
        yield from ("", "Better models that do not fit:", "")
        yield from (f"- {line}" for line in not_chosen)


def _memory(device: str) -> str:
    return "RAM" if device == CPU_DEVICE else device


def _machine(host: HostSnapshot) -> str:
    cpu = f"{host.cpu.model or 'unknown CPU'} ({host.cpu.physical or host.cpu.logical} cores)"
    ram = f"{format_bytes(host.memory.total_bytes)} of RAM"
    devices = list(map(_device, host.devices))
    counted = [
        f"{devices.count(name)} x {name}" if devices.count(name) > 1 else name
        for name in dict.fromkeys(devices)
    ]
    return f"{', '.join((cpu, ram, *counted))}; {host.os} on {host.arch}."


def _device(device: Device) -> str:
    size = format_bytes(device.total_bytes) if device.total_bytes else "memory unknown"
    shared = ", of the RAM" if device.integrated and device.total_bytes else ""
    return f"{device.name or device.id} ({device.backend}, {size}{shared})"


def _worker(worker: WorkerPlan, all_layers: int) -> tuple[object, ...]:
    return (
        worker.id,
        " + ".join(worker.devices),
        _layers(worker, all_layers),
        f"{worker.slots}, {worker.lanes or 'none'} kept for unvoted requests",
        worker.ctx,
        f"{worker.cache_type_k}{f', {worker.pool} tokens shared' if worker.pool else ''}",
        worker.threads,
    )


def _layers(worker: WorkerPlan, all_layers: int) -> str:
    if worker.devices == (CPU_DEVICE,):
        return "-"
    count = f"{worker.gpu_layers} of" if worker.gpu_layers < all_layers else "all"
    split = " + ".join(f"{part:g}" for part in worker.tensor_split)
    moe = worker.cpu_moe_layers
    experts = f", the experts of {moe} in RAM" if moe else ""
    return f"{count} {all_layers}{f' ({split})' if split else ''}{experts}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(map(str, row))} |"


if __name__ == "__main__":
    sys.exit(main())

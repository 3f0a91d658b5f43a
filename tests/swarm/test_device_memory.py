"""What a start took of a device, next to the plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.domain.worker import DeviceMemory
from local_swarm.hardware.values import new_device
from local_swarm.swarm.device_memory import Starts, StartWatch, is_over
from tests.fakes.fake_nvml import build, environment, needs_library

GIB = 1 << 30
MIB = 1 << 20
CARDS = [new_device("NVIDIA", id=f"CUDA{n}", total_bytes=24 * GIB) for n in range(2)]


def worker(*devices: str) -> WorkerPlan:
    parts = tuple(MemoryPart(device, "weights", 4 * GIB) for device in devices)
    fixed = {"gpu_layers": 99, "tensor_split": (), "slots": 4, "lanes": 1, "ctx": 1024}
    return WorkerPlan(
        id="w0", model_path="m", model_id="m", devices=devices, threads=1, parts=parts, **fixed
    )


@pytest.fixture
def free() -> dict[str, int]:
    """What the driver says is free; a test changes it."""
    return {"CUDA0": 20 * GIB, "CUDA1": 20 * GIB}


@pytest.fixture
def starts(free: dict[str, int]) -> Starts:
    return Starts(CARDS, lambda devices: {d.id: free[d.id] for d in devices if d.id in free})


def watch(starts: Starts, *devices: str) -> StartWatch:
    watcher = starts.watcher(worker(*devices))
    assert watcher is not None
    return watcher()


def test_what_each_device_lost_is_told_next_to_its_plan(
    starts: Starts, free: dict[str, int]
) -> None:
    life = watch(starts, "CUDA0", "CUDA1", "cpu")
    life.before()
    free |= {"CUDA0": 15 * GIB, "CUDA1": 17 * GIB}
    assert life.ready() == (
        DeviceMemory("CUDA0", 4 * GIB, 5 * GIB),
        DeviceMemory("CUDA1", 4 * GIB, 3 * GIB),
    )


def test_a_worker_without_a_device_is_not_watched(starts: Starts) -> None:
    assert starts.watcher(worker("cpu")) is None


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_device_that_does_not_tell_is_left_out(
    starts: Starts, free: dict[str, int], moment: str
) -> None:
    life = watch(starts, "CUDA0")
    if moment == "before":
        kept = free.pop("CUDA0")
        life.before()
        free["CUDA0"] = kept
    else:
        life.before()
        free.clear()
    assert life.ready() == ()


def test_two_that_start_on_one_device_are_not_compared(starts: Starts) -> None:
    first, second = watch(starts, "CUDA0"), watch(starts, "CUDA0", "CUDA1")
    first.before()
    second.before()
    assert [seen.device for seen in second.ready()] == ["CUDA1"]
    assert first.ready() == ()


@pytest.mark.parametrize("how", ["starts_and_fails", "ends"])
def test_another_s_end_spoils_the_comparison(starts: Starts, how: str) -> None:
    other, life = watch(starts, "CUDA0"), watch(starts, "CUDA0")
    if how == "ends":
        other.before()
        other.ready()
    life.before()
    if how == "starts_and_fails":
        other.before()
    other.ended()
    assert life.ready() == ()


def test_the_next_life_is_compared_again(starts: Starts) -> None:
    first, second = watch(starts, "CUDA0"), watch(starts, "CUDA0")
    first.before()
    first.ended()  # it never became ready
    second.before()
    assert len(second.ready()) == 1
    second.ended()
    third = watch(starts, "CUDA0")
    third.before()
    assert len(third.ready()) == 1


@pytest.mark.parametrize(
    ("used_bytes", "total_bytes", "over"),
    [
        (GIB + 256 * MIB, 8 * GIB, False),
        (GIB + 257 * MIB, 8 * GIB, True),
        (GIB + 257 * MIB, None, True),
        (GIB + 480 * MIB, 24 * GIB, False),
        (2 * GIB, 80 * GIB, False),
        (0, 24 * GIB, False),
    ],
)
def test_over_is_what_no_rough_count_explains(
    used_bytes: int, total_bytes: int | None, over: bool
) -> None:
    assert is_over(DeviceMemory("CUDA0", GIB, used_bytes), total_bytes) is over


PROGRAM = """
import asyncio, dataclasses, json, pathlib, sys
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.hardware import free_memory
from local_swarm.hardware.values import new_device
from local_swarm.supervisor.fleet import Fleet
from local_swarm.swarm.device_memory import Starts
from local_swarm.telemetry import logs
from tests.swarms import QUICK, Shape, until
logs.configure()
used = pathlib.Path(sys.argv[1])
card = new_device("NVIDIA", id="CUDA0", uuid="GPU-00000001", total_bytes=24 << 30)
plan = WorkerPlan("w0", "m", "m", ("CUDA0",), 99, (), 4, 1, 1024, 1,
                  parts=(MemoryPart("CUDA0", "weights", 1 << 30),))
job = Shape().job(0)
def launch():
    used.write_text("5000")
    return job.launch()
async def main():
    watch = Starts([card], free_memory).watcher(plan)
    watched = dataclasses.replace(job, launch=launch, watch=watch)
    async with Fleet([watched], QUICK, run_token="test") as fleet:
        fleet.start()
        await until(fleet, lambda: bool(fleet.endpoints()))
        (status,) = await fleet.status()
        print(json.dumps([dataclasses.asdict(seen) for seen in status.device_memory]))
asyncio.run(main())
"""


@needs_library
def test_the_driver_is_asked_before_the_process_and_when_it_is_ready(tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.write_text("1000")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(used)],
        env=environment(build(tmp_path), USED_FILE=str(used)),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        {"device": "CUDA0", "planned_bytes": GIB, "used_bytes": 4000 * MIB}
    ]
    assert "more memory than planned" in done.stderr

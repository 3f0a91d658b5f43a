"""Dry runs with real children: the engines', and programs that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from local_swarm.domain.launch import Capabilities, LaunchSpec
from local_swarm.domain.plan import MemoryPart, WorkerPlan
from local_swarm.engines import ENGINES, Availability, Engine
from local_swarm.engines import dry_run as module
from local_swarm.engines.dry_run import dry_run
from local_swarm.engines.flags import dry_flags, plan_flags
from local_swarm.engines.printed import on_devices, printed_sizes, reckoned_sizes
from local_swarm.engines.throwaway import LEASH
from tests.engines.conftest import DEADLINE_S, KEY, NATIVE, FakeEngine, seated, until

SIZES = """\
load_tensors:          CPU model buffer size =     0.00 MiB
llama_context:        CPU  output buffer size =     1.50 MiB
llama_kv_cache:        CPU KV buffer size =     0.00 MiB
llama_kv_cache: size =  384.00 MiB (  2048 cells,  48 layers,  2/2 seqs), K (f16):  192.00 MiB
sched_reserve:        CPU compute buffer size =    90.25 MiB
"""
LATER = "sched_reserve: graph nodes\n"
MIB = 1024 * 1024
# Starts a child of its own, says where both are, prints, and goes on for ever.
LOITER = """\
import os, pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
where = pathlib.Path(os.environ["PIDS"])
where.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
os.replace(where.with_suffix(".new"), where)
print(os.environ["SAYS"], flush=True)
child.wait()
"""


@dataclass(frozen=True)
class Scripted:
    """An engine that is a Python program."""

    program: str
    env: dict[str, str] = field(default_factory=dict)
    name: str = "scripted"
    capabilities: Capabilities = field(default_factory=Capabilities)
    finds_devices: bool = False

    def available(self) -> Availability:
        return Availability(True)

    def devices(self) -> str | None:
        return None

    def launch(
        self,
        worker: WorkerPlan,
        *,
        host: str,
        port: int,
        api_key: str,
        extra_args: Sequence[str] = (),
    ) -> LaunchSpec:
        flags = plan_flags(worker, host=host, port=port)
        argv = (sys.executable, "-c", self.program, *flags)
        return LaunchSpec(self.name, argv, host, port, {**self.env, "LLAMA_API_KEY": api_key})


@pytest.fixture
def pids(tmp_path: Path) -> Path:
    return tmp_path / "pids"


def loiterer(pids: Path, says: str) -> Scripted:
    return Scripted(LOITER, {"PIDS": str(pids), "SAYS": says})


async def appeared(pids: Path) -> list[int]:
    async def written() -> str:
        return said(pids)

    return [int(pid) for pid in (await until(written, "the child says who it is")).split()]


def said(pids: Path) -> str:
    return pids.read_text() if pids.exists() else ""


async def all_gone(pids: Sequence[int]) -> None:
    async def gone() -> bool:
        return not any(alive(pid) for pid in pids)

    await until(gone, "no child is left", 10.0)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_sizes_are_read_and_the_child_is_ended(worker: WorkerPlan, pids: Path) -> None:
    parts = await dry_run(worker, loiterer(pids, SIZES + LATER), api_key=KEY, timeout_s=DEADLINE_S)
    assert parts == (
        MemoryPart("cpu", "output", round(1.5 * MIB)),
        MemoryPart("cpu", "compute", round(90.25 * MIB)),
        MemoryPart("cpu", "kv", 384 * MIB),
    )
    await all_gone(await appeared(pids))


async def test_one_that_stays_silent_is_ended_in_time(worker: WorkerPlan, pids: Path) -> None:
    assert module.TIMEOUT_S == 20.0
    asked = asyncio.ensure_future(dry_run(worker, loiterer(pids, ""), api_key=KEY, timeout_s=2.0))
    started = await appeared(pids)
    assert await asyncio.wait_for(asked, DEADLINE_S) is None
    await all_gone(started)


async def test_a_cancelled_dry_run_leaves_nothing(worker: WorkerPlan, pids: Path) -> None:
    asked = asyncio.ensure_future(dry_run(worker, loiterer(pids, ""), api_key=KEY))
    started = await appeared(pids)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await all_gone(started)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
async def test_what_is_on_the_leash_dies_with_the_holder(pids: Path) -> None:
    """The holder is killed, so that nothing of its own can clean up."""
    holder = (
        "import subprocess, sys, signal\n"
        "held = subprocess.Popen([sys.executable, '-I', '-S', *sys.argv[1:]],"
        " stdin=subprocess.PIPE, start_new_session=True)\n"
        "signal.pause()\n"
    )
    held = [str(LEASH), sys.executable, "-c", LOITER]
    env = {**os.environ, "PIDS": str(pids), "SAYS": ""}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", holder, *held, env=env)
    try:
        started = await appeared(pids)
        assert all(alive(pid) for pid in started)
    finally:
        process.kill()
        await process.wait()
    await all_gone(started)


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit(1)",
        f"print({SIZES!r}, end='')",  # ends before it is clear that this is all
        "print('common_fit_params: failed'); import signal; signal.pause()",
        "import os; os.write(1, b'x' * 10_000_000)",
        "import os; os.abort()",
    ],
    ids=["ends", "ends too early", "gives up", "one endless line", "crashes"],
)
async def test_an_engine_that_would_not_say_gives_nothing(worker: WorkerPlan, program: str) -> None:
    assert await dry_run(worker, Scripted(program), api_key=KEY, timeout_s=DEADLINE_S) == ()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM", "SIGINT"])
async def test_one_that_is_killed_could_not_say(worker: WorkerPlan, number: str) -> None:
    program = (
        f"import os, signal as s; s.signal(s.SIGINT, s.SIG_DFL); os.kill(os.getpid(), s.{number})"
    )
    assert await dry_run(worker, Scripted(program), api_key=KEY, timeout_s=DEADLINE_S) is None


@pytest.mark.parametrize("quiet_s", [0.0, DEADLINE_S])
async def test_what_is_waited_for_is_said_where_it_takes_long(
    quiet_s: float,
    worker: WorkerPlan,
    pids: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "QUIET_S", quiet_s)
    caplog.set_level(logging.INFO, module.__name__)
    assert await dry_run(worker, loiterer(pids, SIZES + LATER), api_key=KEY, timeout_s=DEADLINE_S)
    said = ["waiting for scripted to say how much memory demo takes (30 s at most)"]
    assert [record.getMessage() for record in caplog.records] == ([] if quiet_s else said)


async def test_an_engine_without_a_dry_run_is_not_started(worker: WorkerPlan, pids: Path) -> None:
    @dataclass(frozen=True)
    class Foreign(Scripted):
        def launch(self, *args: object, **kwargs: object) -> LaunchSpec:  # type: ignore[override]
            return LaunchSpec("foreign", (sys.executable, "-c", LOITER), "127.0.0.1", 0, self.env)

    engine = Foreign("", {"PIDS": str(pids), "SAYS": SIZES + LATER})
    assert await dry_run(worker, engine, api_key=KEY) == ()
    assert not said(pids)


async def test_a_program_that_is_not_there_gives_none(worker: WorkerPlan) -> None:
    @dataclass(frozen=True)
    class Missing(Scripted):
        def launch(self, worker: WorkerPlan, **kwargs: object) -> LaunchSpec:  # type: ignore[override]
            flags = plan_flags(worker, host="127.0.0.1", port=0)
            return LaunchSpec("missing", ("/no/such/program", *flags), "127.0.0.1", 0)

    assert await dry_run(worker, Missing(""), api_key=KEY, timeout_s=DEADLINE_S) is None


async def test_a_server_that_prints_no_sizes_is_ended_in_time(worker: WorkerPlan) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    assert await dry_run(worker, FakeEngine(), api_key=KEY, timeout_s=1.0) is None
    children = psutil.Process().children(recursive=True)
    await all_gone([child.pid for child in children if child.pid not in before])


async def test_the_key_and_nothing_of_ours_is_in_the_environment(
    worker: WorkerPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSWARM_ENGINE__API_KEY", "secret")
    monkeypatch.setenv("LLAMA_ARG_ENDPOINT_PROPS", "1")
    seen = tmp_path / "seen"
    program = (
        "import os, sys, pathlib\n"
        f"pathlib.Path({str(seen)!r}).write_text(repr((dict(os.environ), sys.argv)))\n"
    )
    await dry_run(worker, Scripted(program), api_key=KEY, timeout_s=DEADLINE_S)
    text = seen.read_text()
    assert text.count(KEY) == 1
    assert "LSWARM_ENGINE" not in text
    assert "LLAMA_ARG_" not in text


def test_the_flags_of_a_dry_run_are_those_of_the_start(worker: WorkerPlan) -> None:
    flags = plan_flags(worker, host="127.0.0.1", port=0)
    dry = dry_flags(flags)
    assert dry is not None
    differ = [(one, other) for one, other in zip(flags, dry, strict=False) if one != other]
    assert differ == [("off", "on"), ("4", "5")]
    assert dry[len(flags) :] == ("--no-warmup",)


def test_a_cache_on_several_devices_is_not_told() -> None:
    two = SIZES + "llama_kv_cache:        CUDA0 KV buffer size =     0.00 MiB\n"
    assert {part.kind for part in reckoned_sizes(two.splitlines())} == {"output", "compute"}
    assert reckoned_sizes(SIZES.splitlines()[:-1]) == ()


@pytest.mark.parametrize(
    ("buffer", "device"),
    [("AMX", "cpu"), ("CPU_REPACK", "cpu"), ("MTL0_Mapped", "MTL0"), ("ROCm1", "ROCm1")],
)
def test_variants_of_a_device_s_memory_are_its_own(buffer: str, device: str) -> None:
    line = f"load_tensors:   {buffer} model buffer size =     2.00 MiB"
    assert printed_sizes([line]) == (MemoryPart(device, "weights", 2 * MIB),)


@pytest.mark.parametrize(
    ("devices", "printed", "planned"),
    [
        (("CUDA2", "CUDA5"), ["cpu", "CUDA0", "CUDA1"], ["cpu", "CUDA2", "CUDA5"]),
        (("CUDA5", "CUDA2"), ["CUDA0", "CUDA1"], ["CUDA5", "CUDA2"]),
        (("GPU-b1", "GPU-a2"), ["CUDA0", "CUDA1"], ["GPU-b1", "GPU-a2"]),
        (("ROCm1", "Vulkan3"), ["ROCm0", "Vulkan0"], ["ROCm1", "Vulkan3"]),
        (("SYCL3", "SYCL1"), ["SYCL0", "SYCL1"], ["SYCL1", "SYCL3"]),
        (("MTL0",), ["MTL0"], ["MTL0"]),
        (("cpu",), ["cpu", "CUDA0"], ["cpu", "CUDA0"]),
        (("CUDA1",), ["CUDA1"], ["CUDA1"]),
    ],
)
def test_a_child_s_devices_are_named_as_in_the_plan(
    devices: tuple[str, ...], printed: list[str], planned: list[str]
) -> None:
    parts = [MemoryPart(device, "kv", 1) for device in printed]
    assert [part.device for part in on_devices(parts, devices)] == planned


async def test_an_engine_without_a_dry_run_says_nothing(worker: WorkerPlan) -> None:
    engine = installed("llama-cpp-python")
    assert await dry_run(seated(worker, engine), engine, api_key=KEY) == ()


@pytest.mark.engine
@pytest.mark.parametrize("name", [name for name in ENGINES if name != "llama-cpp-python"])
async def test_an_installed_engine_says_what_it_would_allocate(
    name: str, worker: WorkerPlan
) -> None:
    engine = installed(name)
    parts = await dry_run(worker, engine, api_key=KEY, timeout_s=DEADLINE_S)
    assert parts is not None
    assert {part.kind for part in parts} == {"kv", "output", "compute"}
    assert {part.device for part in parts} == {"cpu"}


@pytest.mark.engine
@pytest.mark.parametrize("name", list(ENGINES))
async def test_a_model_that_is_refused_gives_nothing(
    name: str, worker: WorkerPlan, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.gguf"
    with contextlib.closing(broken.open("wb")) as file:
        file.write(b"GGUF" + bytes(100))
    engine = installed(name)
    worker = replace(seated(worker, engine), model_path=str(broken))
    assert await dry_run(worker, engine, api_key=KEY, timeout_s=DEADLINE_S) == ()


def installed(name: str) -> Engine:
    engine = ENGINES[name](NATIVE)
    found = engine.available()
    if not found.found:
        pytest.skip(found.reason)
    return engine

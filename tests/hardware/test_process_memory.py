"""What processes hold: real ones in RAM, NVIDIA's list through a library of our own, AMD's through
a tree of files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_swarm.hardware import process_memory
from local_swarm.hardware.bounded import Bounded
from local_swarm.hardware.values import AMD, new_device
from tests.fakes.fake_nvml import build, environment, needs_library

MIB, GIB = 1 << 20, 1 << 30
HELD = 48 * MIB
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares pages out")

# A process that holds so much, and a fork of it that shares all of that. Ends with its stdin.
PAIR = f"""
import os, sys
held = bytearray(b"x" * {HELD})
child = os.fork()
if not child:
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
os.waitpid(child, 0)
"""
NVML = """
import json, os, sys
from local_swarm.hardware import process_memory
from local_swarm.hardware.values import new_device
devices = [new_device("NVIDIA", id=f"CUDA{n - 1}", uuid=f"GPU-0000000{n}") for n in (1, 2)]
pids = {"me": os.getpid(), "above": os.getppid(), "none": 2**22 + 1}
held = process_memory(pids.values(), devices, timeout_s=float(sys.argv[1]))
print(json.dumps({name: dict(held[pid].device_bytes) for name, pid in pids.items() if pid in held}))
"""

FIRST = """
from local_swarm.hardware.nvidia import held_bytes
print(held_bytes(["GPU-00000001"])["GPU-00000001"].get(1, "nothing known"))
"""


@pytest.fixture
def pair() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", PAIR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process.pid


@linux
def test_what_two_processes_share_counts_once(pair: int) -> None:
    held = process_memory([pair])[pair]
    assert held.rss_bytes > 2 * HELD
    assert held.pss_bytes is not None
    assert HELD < held.pss_bytes < 2 * HELD
    assert held.device_bytes == {}
    quick = process_memory([pair], with_pss=False)[pair]
    assert (quick.rss_bytes, quick.pss_bytes) == (held.rss_bytes, None)


@linux
def test_children_count_with_their_parent_and_by_themselves(pair: int) -> None:
    (child,) = (process.pid for process in psutil.Process(pair).children())
    held = process_memory([pair, child])
    assert HELD < held[child].rss_bytes < held[pair].rss_bytes


def test_processes_that_are_gone_are_left_out() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    assert psutil.Process(process.pid)
    process.wait()
    held = process_memory([process.pid, os.getpid()])
    assert list(held) == [os.getpid()]
    assert process_memory([]) == {}


@linux
def test_one_that_has_ended_and_was_not_waited_for_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert process_memory([process.pid]) == {}


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_of_another_user_s_process_only_the_rss_is_known() -> None:
    program = (
        "import os, sys; from local_swarm.hardware import process_memory; os.setuid(65534);"
        "held = process_memory([int(sys.argv[1])]); print(held)"
    )
    command = [sys.executable, "-c", program, str(os.getpid())]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "pss_bytes=None" in said.stdout
    assert said.stderr == ""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


def said(folder: Path, *arguments: str, **told: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", *arguments],
        env=environment(folder, **told),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def on_cards(folder: Path, timeout_s: float = 20.0, **told: str) -> dict[str, dict[str, int]]:
    """What processes hold on two cards; the library says 5 GiB of the one that asks."""
    found: dict[str, dict[str, int]] = json.loads(said(folder, NVML, str(timeout_s), **told))
    return found


@needs_library
def test_nvidia_s_driver_says_who_holds_what(library: Path) -> None:
    held = on_cards(library, HELD_MIB="300")
    assert held["me"] == {"CUDA0": 5 * GIB, "CUDA1": 5 * GIB}
    assert held["above"] == held["me"], "what the child holds"
    assert "none" not in held


@needs_library
@pytest.mark.parametrize("told", [{"INIT": "9"}, {"GPUS": "0"}])
def test_a_driver_that_does_not_tell_leaves_the_ram(library: Path, told: dict[str, str]) -> None:
    assert on_cards(library, **told)["me"] == {}


@needs_library
def test_an_amount_that_is_hidden_is_not_nothing(library: Path) -> None:
    assert said(library, FIRST, HELD_MIB="300") == str(300 * MIB)
    assert said(library, FIRST, HELD_MIB="hidden") == "nothing known"


@needs_library
def test_a_driver_that_hangs_leaves_the_ram(library: Path) -> None:
    assert on_cards(library, timeout_s=0.1, HANG="60")["me"] == {}


def client(number: int, place: str, *lines: str) -> str:
    return "\n".join(
        [
            "pos:\t0",
            "drm-driver:\tamdgpu",
            f"drm-client-id:\t{number}",
            f"drm-pdev:\t{place}",
            *lines,
        ]
    )


def test_amd_s_driver_tells_of_each_open_file(machine) -> None:
    folder = f"proc/{os.getpid()}/fdinfo"
    first, second = "0000:03:00.0", "0000:04:00.0"
    roots = machine(
        {
            f"{folder}/0": "pos:\t0\nflags:\t02",
            f"{folder}/7": client(1, first, "drm-memory-vram:\t2048 KiB"),
            f"{folder}/8": client(1, first, "drm-memory-vram:\t2048 KiB"),  # the same client
            f"{folder}/9": client(2, first, "drm-memory-vram:\t9 KiB", "drm-resident-vram:\t3 MiB"),
            f"{folder}/10": client(3, second, "drm-memory-vram:\t512"),
            f"{folder}/11": client(4, "0000:05:00.0", "drm-memory-vram:\t1 GiB"),
            f"{folder}/12": client(5, second, "drm-memory-vram:\tlots"),
            f"{folder}/13": client(6, "nowhere", "drm-memory-vram:\t1 GiB"),
        }
    )
    devices = [
        new_device(AMD, id="ROCm0", bus_id=first),
        new_device(AMD, id="ROCm1", bus_id=second),
        new_device(AMD, id="ROCm2", bus_id="0000:06:00.0"),
    ]
    held = process_memory([os.getpid()], devices, roots)[os.getpid()]
    assert held.device_bytes == {"ROCm0": 5 * MIB, "ROCm1": 512}


def test_whatever_hangs_costs_one_thread() -> None:
    answered, asked = threading.Event(), threading.Event()

    def question() -> str:
        asked.set()
        answered.wait(30)
        return "late"

    bounded = Bounded("hangs")
    assert bounded.ask(question, 0.01) is None
    assert asked.wait(10)
    assert [bounded.ask(lambda: "more", 0.01) for _ in range(3)] == [None] * 3
    (hanging,) = (thread for thread in threading.enumerate() if thread.name == "hangs")
    answered.set()
    hanging.join(10)
    assert bounded.ask(lambda: "more", 10) == "more"


def test_a_question_that_fails_has_no_answer_and_blocks_no_other() -> None:
    bounded = Bounded("fails")
    assert bounded.ask(lambda: 1 // 0, 10) is None
    assert bounded.ask(lambda: 1, 10) == 1

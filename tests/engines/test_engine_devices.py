"""What engines say of the devices they drive, asked of programs that misbehave."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from pathlib import Path

import psutil
import pytest

from local_swarm.engines.asking import stdout_of
from local_swarm.engines.llama_server import LlamaServer
from local_swarm.engines.xllamacpp import PACKAGE, RUNNER, Xllamacpp

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs are shell scripts")

LISTING = "Available devices:\n  CUDA0: NVIDIA Pretend 24 (24081 MiB, 23668 MiB free)\n"


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_native_server_is_asked_once(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    text = f"echo \"$*\" >> {calls}\nprintf '{LISTING}'"
    engine = LlamaServer(script(tmp_path / "llama-server", text))
    assert [engine.devices(), engine.devices()] == [LISTING, LISTING]
    assert calls.read_text() == "--list-devices\n"


def test_a_new_build_at_the_same_path_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "llama-server"
    assert LlamaServer(script(path, "echo old")).devices() == "old\n"
    script(path, "echo new")
    os.utime(path, ns=(1, 1))
    assert LlamaServer(str(path)).devices() == "new\n"


def test_it_is_asked_with_an_empty_input_and_cards_in_the_order_of_the_bus(tmp_path: Path) -> None:
    path = script(tmp_path / "llama-server", 'cat; echo "$CUDA_DEVICE_ORDER"')
    assert LlamaServer(path).devices() == "PCI_BUS_ID\n"


def test_without_a_program_nothing_is_told(tmp_path: Path) -> None:
    assert LlamaServer(str(tmp_path / "nowhere")).devices() is None


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    path = script(tmp_path / "hangs", f"sleep 60 &\necho $! > {tmp_path / 'child'}\nwait")
    before = time.monotonic()
    assert stdout_of((path,), timeout_s=1.0) is None
    assert time.monotonic() - before < 20
    with contextlib.suppress(psutil.NoSuchProcess):
        child = psutil.Process(int((tmp_path / "child").read_text()))
        assert child.status() == psutil.STATUS_ZOMBIE or child.wait(20) is None


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    path = script(tmp_path / "leaves", "sleep 60 &\necho told")
    before = time.monotonic()
    assert stdout_of((path,), timeout_s=20) == "told\n"
    assert time.monotonic() - before < 20


def test_what_cannot_be_run_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    assert stdout_of((str(tmp_path / "text"),), timeout_s=5) is None


def wheel(folder: Path, text: str) -> dict[str, str]:
    """The environment in which a package of this text stands for the wheel."""
    (folder / PACKAGE).mkdir()
    (folder / PACKAGE / "__init__.py").write_text(text)
    return {"PYTHONPATH": str(folder)}


GPU_WHEEL = """
import enum
class ggml_backend_dev_type(enum.IntEnum):
    GGML_BACKEND_DEVICE_TYPE_CPU = 0
    GGML_BACKEND_DEVICE_TYPE_GPU = 1
def get_device_info():
    print("what a driver says", flush=True)
    gpu = dict(name="CUDA0", description="NVIDIA Pretend 24", type=ggml_backend_dev_type(1))
    cpu = dict(name="CPU", description="Some CPU", type=ggml_backend_dev_type(0))
    sizes = dict(memory_total=24081 << 20, memory_free=23668 << 20)
    return [gpu | sizes, cpu | sizes]
"""


def asked(env: dict[str, str]) -> str | None:
    return stdout_of((sys.executable, str(RUNNER), "--list-devices"), timeout_s=20, env=env)


def test_the_wheel_speaks_as_the_native_server_does(tmp_path: Path) -> None:
    assert asked(wheel(tmp_path, GPU_WHEEL)) == "what a driver says\n" + LISTING


@pytest.mark.parametrize("text", ["import os; os.abort()", "import no_such_library_here"])
def test_a_wheel_that_does_not_load_lists_nothing(tmp_path: Path, text: str) -> None:
    assert "Available" not in (asked(wheel(tmp_path, text)) or "")


@pytest.mark.engine
def test_the_wheel_that_is_installed_lists_what_it_drives() -> None:
    pytest.importorskip(PACKAGE)
    assert (Xllamacpp().devices() or "").startswith("Available devices:\n")

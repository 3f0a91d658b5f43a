"""Builds the stand-in for NVIDIA's library; `tests/hardware/fake_nvml.c` says how it is told what
to show. Only a process started with `LD_LIBRARY_PATH` set to its folder gets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "hardware" / "fake_nvml.c"
COMPILER = shutil.which("cc")
needs_library = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="builds a fake libnvidia-ml.so.1 with cc"
)


def build(folder: Path) -> Path:
    """The folder, with the library in it."""
    library = folder / "libnvidia-ml.so.1"
    command = [str(COMPILER), "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return folder


def environment(folder: Path, **told: str) -> Mapping[str, str]:
    """This process' environment, with the library and what it is told (`GPUS="1"`)."""
    clean = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    return {
        **clean,
        "LD_LIBRARY_PATH": str(folder),
        **{f"FAKE_NVML_{name}": value for name, value in told.items()},
    }

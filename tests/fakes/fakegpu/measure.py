"""What llama-server prints of its memory on fake devices.

`python -m tests.fakes.fakegpu.measure SERVER SOURCES > tests/budget/placed_compute.json` measures
every cell of the table that `tests/budget/test_placed_compute.py` reads. SERVER is the binary of a
build with shared libraries, SOURCES that llama.cpp's tree (`bin/build_engine.sh`).
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from local_swarm.budget.context import Setting
from local_swarm.budget.placement import Target
from local_swarm.domain.memory import MIB
from local_swarm.domain.plan import MemoryPart
from local_swarm.engines.printed import printed_sizes
from tests.fakes.fakegpu import models

HERE = Path(__file__).parent
DEVICE_MIB = 8192
DEADLINE_S = 30.0
LOADED = "listening on"


@dataclass(frozen=True)
class Cell:
    """One start of the engine. `devices` is how many there are, `split` one part for each."""

    model: str
    devices: int
    gpu_layers: int
    split: tuple[int, ...]
    cpu_moe: int
    ctx: int
    slots: int
    unified: bool
    cache: str
    ubatch: int

    @property
    def setting(self) -> Setting:
        return Setting(
            self.ctx,
            self.slots,
            kv_unified=self.unified,
            cache_type_k=self.cache,
            cache_type_v=self.cache,
            ubatch=self.ubatch,
            flash_attention="on",
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(Target(f"FAKE{n}", "CUDA") for n in range(self.devices))

    @property
    def flags(self) -> list[str]:
        listed = {
            "-ngl": self.gpu_layers, "-ts": ",".join(map(str, self.split)), "-fa": "on",
            "-c": self.ctx, "-np": self.slots, "-ctk": self.cache, "-ctv": self.cache,
            "-ub": self.ubatch, "--n-cpu-moe": self.cpu_moe, "-lv": 4, "--fit": "off",
            "--load-mode": "none", "--cache-ram": 0, "-t": 1,
        }  # fmt: skip
        flags = [part for name, item in listed.items() for part in (name, str(item))]
        return [*flags, "-kvu" if self.unified else "--no-kv-unified", "--no-warmup"]


PLACES = (
    (1, 99, (1,), 0),
    (1, 3, (1,), 0),
    (1, 0, (1,), 0),
    (2, 99, (1, 1), 0),
    (2, 99, (3, 1), 0),
    (2, 4, (1, 2), 0),
    (4, 99, (1, 1, 1, 1), 0),
)
EXPERTS_ON_THE_HOST = ((1, 99, (1,), 3), (2, 99, (3, 1), 6), (2, 4, (1, 1), 4))
SETTINGS = (
    (4096, 1, False, "f16", 512),
    (16384, 4, False, "q8_0", 512),
    (16384, 4, True, "f16", 512),
    (8192, 6, True, "q8_0", 256),
)


def cells() -> tuple[Cell, ...]:
    found = []
    for model in models.MODELS:
        places = PLACES + (EXPERTS_ON_THE_HOST if model in ("experts", "latent") else ())
        found += [Cell(model, *at, *how) for at, how in itertools.product(places, SETTINGS)]
    return tuple(found)


def build(server: Path, sources: Path, folder: Path) -> Path:
    """The fake devices as a library to preload, against the engine's own libraries."""
    library, headers = folder / "libfakegpu.so", (sources / "ggml/include", sources / "ggml/src")
    subprocess.run(
        [
            "g++", "-std=c++17", "-O1", "-fPIC", "-shared", *(f"-I{path}" for path in headers),
            str(HERE / "fakegpu.cpp"), str(HERE / "fakepreload.cpp"), "-o", str(library),
            f"-L{server.parent}", "-lggml", "-lggml-base", f"-Wl,-rpath,{server.parent}",
        ],
        check=True,
    )  # fmt: skip
    return library


def fakes(library: Path, *mib: int, name: str = "FAKE", computes: bool = False) -> dict[str, str]:
    """The environment of a process that has such devices; see README.md."""
    sizes = ",".join(map(str, mib))
    found = {"LD_PRELOAD": str(library), "FAKE_GPU_MIB": sizes, "FAKE_GPU_NAME": name}
    return found | ({"FAKE_GPU_COMPUTES": "1"} if computes else {})


def measure(server: Path, library: Path, model: Path, cell: Cell) -> tuple[MemoryPart, ...]:
    """What a cell's start prints."""
    argv = [str(server), "-m", str(model), "--port", str(free_port()), *cell.flags]
    devices = fakes(library, *[DEVICE_MIB] * cell.devices)
    return printed_sizes(loaded(argv, devices, model.with_suffix(".log")))


def loaded(argv: Sequence[str], env: Mapping[str, str], log: Path) -> list[str]:
    """Starts the engine, reads what it prints until it listens, and stops it."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            argv,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        return _until_loaded(child, log)
    finally:
        child.kill()
        child.wait()


def _until_loaded(child: subprocess.Popen[bytes], log: Path) -> list[str]:
    end = time.monotonic() + DEADLINE_S
    while LOADED not in (text := log.read_text(errors="replace")):
        assert child.poll() is None, f"ended with {child.returncode}: {text[-3000:]}"
        assert time.monotonic() < end, f"not loaded within {DEADLINE_S} s: {text[-3000:]}"
        time.sleep(0.01)
    return text.splitlines()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(server: Path, sources: Path) -> None:
    """Prints the table: one line per cell, compute buffers in MiB as the engine rounds them."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = build(server, sources, folder)
        paths = {model: models.write(folder, model) for model in models.MODELS}
        for cell in cells():
            parts = measure(server, library, paths[cell.model], cell)
            sizes = {p.device: round(p.bytes / MIB, 2) for p in parts if p.kind == "compute"}
            rows.append(json.dumps(asdict(cell) | {"compute": sizes}))
    print("[\n" + ",\n".join(rows) + "\n]")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""The engine's flags, what it refuses, and the ways its child ends; the last with the package."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from local_swarm.budget import observe
from local_swarm.budget.pricing import Pricer
from local_swarm.domain.plan import FlashAttention, WorkerPlan
from local_swarm.engines import ENGINES, printed_sizes
from local_swarm.engines.llama_cpp_python import CAPABILITIES, MODULES, RUNNER, LlamaCppPython
from local_swarm.engines.llama_cpp_python_flags import CACHE_TYPES, OPEN
from local_swarm.errors import EngineError, UsageError
from local_swarm.models import read_facts
from tests.engines.conftest import Start
from tests.engines.small_models import windowed_model

TEXT = (Path(__file__).parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")


@pytest.fixture
def single(worker: WorkerPlan) -> WorkerPlan:
    """A worker as this engine can have it."""
    return replace(worker, slots=1, lanes=0, cache_ram_mib=0, ctx_checkpoints=0)


def said(worker: WorkerPlan, *extra: str) -> dict[str, str]:
    """Flag -> value, of those that have one."""
    spec = LlamaCppPython().launch(worker, host="h", port=5, api_key="secret", extra_args=extra)
    assert spec.env["LLAMA_API_KEY"] == "secret"
    assert "secret" not in spec.argv
    words = spec.argv[2:]
    return dict(zip(words, (*words[1:], ""), strict=True))


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--n_ctx", "1024"),
        ("--n_batch", "2048"),
        ("--n_ubatch", "512"),
        ("--n_threads", "1"),
        ("--n_threads_batch", "1"),
        ("--n_gpu_layers", "0"),
        ("--type_k", "1"),
        ("--type_v", "1"),
        ("--flash_attention", "auto"),
        ("--repack", "false"),
        ("--logits_all", "false"),
        ("--use_mmap", "true"),
        ("--offload_kqv", "false"),
        ("--device", "none"),
        ("--interrupt_requests", "false"),
        ("--host", "h"),
        ("--port", "5"),
    ],
)
def test_everything_the_plan_decided_is_said(single: WorkerPlan, flag: str, value: str) -> None:
    assert said(single)[flag] == value


@pytest.mark.parametrize("kind", sorted(CACHE_TYPES))
def test_every_type_of_cache_has_its_number(single: WorkerPlan, kind: str) -> None:
    assert said(replace(single, cache_type_k=kind))["--type_k"] == str(CACHE_TYPES[kind])


@pytest.mark.parametrize("way", ["auto", "on", "off"])
def test_flash_attention_is_as_planned(single: WorkerPlan, way: FlashAttention) -> None:
    assert said(replace(single, flash_attention=way))["--flash_attention"] == way


def test_a_gpu_worker_has_its_split_and_its_cache_there(single: WorkerPlan) -> None:
    on_gpus = replace(single, devices=("CUDA0", "CUDA1"), gpu_layers=9, tensor_split=(3.0, 1.5))
    flags = said(on_gpus)
    assert flags["--offload_kqv"] == "true"
    assert (flags["--tensor_split"], flags["3.0"]) == ("3.0", "1.5")
    assert "--device" not in flags


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"slots": 2}, "one slot, not 2"),
        ({"mmproj": "x.gguf"}, "no second model"),
        ({"draft": "x.gguf"}, "no second model"),
        ({"cpu_moe_layers": 1}, "no experts in RAM"),
    ],
)
def test_a_plan_beyond_it_is_an_engine_error(
    single: WorkerPlan, changes: dict[str, object], why: str
) -> None:
    with pytest.raises(EngineError, match=why):
        said(replace(single, **changes))  # type: ignore[arg-type]


def test_no_plan_for_it_leaves_experts_in_ram() -> None:
    """`swarm.planning` gives a plan what the engine says it can do."""
    assert not LlamaCppPython().capabilities.experts_in_ram


def test_what_is_open_follows_as_it_is(single: WorkerPlan) -> None:
    assert said(single, "--rope_freq_base", "1e6", "--numa", "1")["--rope_freq_base"] == "1e6"


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "1"],
        ["--n_ctx", "1"],
        ["--logits_all", "true"],
        ["--api_key", "x"],
        ["--clip_model_path", "x"],
        ["--hf_model_repo_id", "x"],
        ["--config_file", "x"],
        ["-ngl", "1"],
        ["--top-k", "1"],
        ["word"],
        ["--numa"],
        ["--numa", "much"],
        ["--chat_template_kwargs", "[]"],
        ["--numa", "1", "--bogus", "1"],
    ],
)
def test_what_is_not_open_is_refused_by_name(single: WorkerPlan, words: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        said(single, *words)
    assert words[-2 if len(words) > 1 else 0].replace("_", "-") in error.value.message.replace(
        "_", "-"
    )


def test_the_document_lists_what_is_open() -> None:
    part = TEXT.split("\n## What may follow `--` with llama-cpp-python\n", 1)[1].split("\n## ")[0]
    assert {word for word in OPEN if f"`{word}`" in part} == set(OPEN)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_swarm.engines.llama_cpp_python.MODULES", ("llama_cpp_not_here",))
    found = LlamaCppPython().available()
    assert not found.found
    assert "llama-cpp-python" in found.install


def installed() -> None:
    if why := LlamaCppPython().available().reason:
        pytest.skip(why)


def run(*flags: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUNNER), *flags],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "flags", [["--bogus", "1"], ["--n_ctx", "many"], ["--n_ct", "5"], ["--n_ctx", "-5"]]
)
def test_a_flag_it_cannot_use_ends_the_runner_with_2(tmp_path: Path, flags: list[str]) -> None:
    installed()
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    done = run("--model", str(model), "--port", "0", *flags, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert flags[0].lstrip("-") in done.stderr


def test_files_of_the_current_folder_do_not_stand_in_for_modules(tmp_path: Path) -> None:
    installed()
    for name in (*MODULES, "ctypes", "local_swarm"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(77)")
    done = run("--model", "gone.gguf", cwd=tmp_path)
    assert done.returncode == 1
    assert "gone.gguf" in done.stderr.splitlines()[-1]


def test_an_ordinary_build_drives_no_device_or_names_it(tmp_path: Path) -> None:
    installed()
    done = run("--list-devices", cwd=tmp_path)
    assert done.returncode == 0
    first, *rest = done.stdout.splitlines()
    assert first == "Available devices:"
    assert rest


async def test_settings_do_not_come_from_the_environment(start: Start) -> None:
    installed()
    child = await start(env={"CACHE": "true", "ROOT_PATH": "/x", "CONFIG_FILE": "gone.yaml"})
    await child.ready()
    assert "ram cache" not in child.log.read_text()


async def test_what_it_prints_is_what_was_planned(single: WorkerPlan, start: Start) -> None:
    installed()
    planned = replace(single, ctx=16384)
    child = await (await start(ctx=16384)).ready()
    model = read_facts(Path(planned.model_path))
    build = f"llama-cpp-python {LlamaCppPython().available().version}"
    pricer = Pricer(model, build, process_bytes=CAPABILITIES.process_bytes)
    parts = pricer.parts(planned, ())
    observed = observe(parts, printed_sizes(child.log.read_text().splitlines()))
    assert observed is not None
    assert observed.drift == ()


@pytest.fixture
def engine() -> LlamaCppPython:
    """What `start` starts here."""
    chosen = ENGINES["llama-cpp-python"]("")
    assert isinstance(chosen, LlamaCppPython)
    return chosen


WINDOWS = """
import sys
from llama_cpp import Llama
from local_swarm.engines.llama_cpp_python_library import obey_plan, telling
from local_swarm.engines.llama_cpp_python_runner import parse
obey_plan(parse(["--model", sys.argv[1], "--device", "none"]))
llama = telling(Llama)(sys.argv[1], n_ctx=2048, n_batch=64, n_ubatch=64, verbose=False)
read = [number % 500 for number in range(1500)]
fresh = llama.has_lost(read)
llama.eval(read)
print(fresh, llama.has_lost([*read, 7]), llama.has_lost([*read[:400], 7]), llama.has_lost([7]))
"""


def test_a_prompt_whose_window_has_slid_on_is_read_again(tmp_path: Path) -> None:
    installed()
    model = tmp_path / "windows.gguf"
    model.write_bytes(windowed_model().encode())
    command = [sys.executable, "-c", WINDOWS, str(model)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["False", "False", "True", "True"], done.stderr

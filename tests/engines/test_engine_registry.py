"""Which engine is chosen, and what a person is told when there is none."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from local_swarm.domain.plan import WorkerPlan
from local_swarm.engines import ENGINES, choose
from local_swarm.engines.llama_server import NEEDED, LlamaServer
from local_swarm.engines.xllamacpp import PACKAGE
from local_swarm.errors import EngineError, UsageError
from tests.engines.conftest import seated


def program(folder: Path, *, flags: tuple[str, ...] = NEEDED) -> Path:
    """A program that says it is llama-server."""
    path = folder / "llama-server"
    path.write_text(f"#!/bin/sh\necho 'version: 1234 (abcdef)'\necho '{' '.join(flags)}'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(autouse=True)
def empty_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_swarm.engines.xllamacpp.PACKAGE", "no_such_package_here")
    monkeypatch.setattr("local_swarm.engines.llama_cpp_python.MODULES", ("no_such_package_here",))


def test_auto_takes_the_native_server_on_path(empty_path: Path) -> None:
    program(empty_path)
    engine = choose("auto")
    assert engine.name == "llama-server"
    assert engine.available().version == "1234"


def test_auto_takes_the_path_it_is_given(tmp_path: Path, worker: WorkerPlan) -> None:
    path = program(tmp_path)
    spec = choose("auto", path=str(path)).launch(worker, host="h", port=1, api_key="k")
    assert spec.argv[0] == str(path)


def test_auto_falls_back_to_the_wheel() -> None:
    pytest.importorskip(PACKAGE)
    assert choose("auto").name == "xllamacpp"


def test_auto_takes_the_extra_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    if why := ENGINES["llama-cpp-python"]("").available().reason:
        pytest.skip(why)
    monkeypatch.setattr("local_swarm.engines.xllamacpp.PACKAGE", "no_such_package_here")
    assert choose("auto").name == "llama-cpp-python"


def test_a_native_server_that_is_too_old_is_passed_over(empty_path: Path) -> None:
    pytest.importorskip(PACKAGE)
    program(empty_path, flags=NEEDED[1:])
    assert choose("auto").name == "xllamacpp"
    with pytest.raises(EngineError, match=NEEDED[0]):
        choose("llama-server")


def test_a_path_that_does_not_work_is_not_replaced_by_another_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="nowhere"):
        choose("auto", path=str(tmp_path / "nowhere"))


@pytest.mark.usefixtures("no_wheel")
def test_without_any_engine_it_says_what_to_install() -> None:
    with pytest.raises(EngineError) as error:
        choose("auto")
    assert error.value.exit_code == 4
    assert "pip install xllamacpp" in error.value.hint
    assert "llama-server" in error.value.message


def test_an_unknown_engine_is_named_with_the_known_ones() -> None:
    with pytest.raises(EngineError, match=r"vllm.*xllamacpp"):
        choose("vllm")


def test_a_native_launch_without_a_program_is_an_engine_error(worker: WorkerPlan) -> None:
    with pytest.raises(EngineError):
        LlamaServer().launch(worker, host="h", port=1, api_key="k")


def test_a_home_that_is_not_known_is_a_reason(worker: WorkerPlan) -> None:
    engine = LlamaServer("~nouser-here/x")
    found = engine.available()
    assert not found.found
    assert "~nouser-here/x" in found.reason
    assert found.install
    with pytest.raises(EngineError, match="~nouser-here/x"):
        engine.launch(worker, host="h", port=1, api_key="k")


def test_a_program_that_vanishes_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = str(tmp_path / "gone")
    monkeypatch.setattr(LlamaServer, "program", lambda _: gone)
    found = LlamaServer().available()
    assert not found.found
    assert gone in found.reason
    assert "No such file" in found.reason


@pytest.mark.parametrize("name", list(ENGINES))
def test_every_engine_keeps_the_key_out_of_argv(
    name: str, tmp_path: Path, worker: WorkerPlan
) -> None:
    engine = ENGINES[name](str(program(tmp_path)))
    extra = ["--numa", "1"] if name == "llama-cpp-python" else ["--temp", "1"]
    spec = engine.launch(
        seated(worker, engine), host="h", port=0, api_key="very-secret", extra_args=extra
    )
    assert spec.env["LLAMA_API_KEY"] == "very-secret"
    assert "very-secret" not in " ".join(spec.argv)
    assert spec.argv[-2:] == tuple(extra)
    assert spec.ready_path == "/health"


@pytest.mark.parametrize("name", list(ENGINES))
def test_every_engine_refuses_what_is_not_the_users(
    name: str, tmp_path: Path, worker: WorkerPlan
) -> None:
    engine = ENGINES[name](str(program(tmp_path)))
    with pytest.raises(UsageError, match="--props"):
        engine.launch(worker, host="h", port=0, api_key="k", extra_args=["--props"])


def test_the_wheel_refuses_a_flag_it_does_not_know_before_anything_starts(
    worker: WorkerPlan,
) -> None:
    with pytest.raises(UsageError, match=r"--grammar-file.*native"):
        ENGINES["xllamacpp"]("").launch(
            worker, host="h", port=0, api_key="k", extra_args=["--grammar-file", "g"]
        )

"""What plans and machines look like to people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from local_swarm.cli import render
from local_swarm.cli.render import rejected, terminal

GIB = 1 << 30


@pytest.fixture
def out(monkeypatch):
    text = io.StringIO()
    console = Console(file=text, force_terminal=False, width=120, highlight=False)
    monkeypatch.setattr(terminal, "Console", lambda **_: console)
    return text


def device(name, *, total=24, others=0, reserve=0, usable=20, planned=10):
    sizes = {
        "total": total, "others": others, "reserve": reserve, "usable": usable, "planned": planned
    }  # fmt: skip
    return {"device": name, **{f"{key}_bytes": size * GIB for key, size in sizes.items()}}


def document(*budget, rejections=()):
    part = {"device": "cpu", "kind": "weights", "bytes": 3 * GIB}
    worker = {"id": "w0", "devices": ["cpu"], "slots": 4, "ctx": 16384, "threads": 8}
    return {
        "model": "small:1b:q8_0",
        "voters": 3,
        "workers": [{**worker, "parts": [part]}],
        "budget": list(budget),
        "reasons": ["It [fits]."],
        "rejected": [{"model": name, "why": why} for name, why in rejections],
    }


def words(out, start):
    """The words of the line that starts so."""
    return next(line for line in out.getvalue().splitlines() if line.startswith(start)).split()


def test_a_plan_shows_workers_parts_devices_and_reasons(out):
    render.plan(document(device("cpu")))
    assert words(out, "small:1b") == ["small:1b:q8_0:", "3", "voters"]
    assert words(out, "w0") == ["w0", "cpu", "4", "16384", "8", "3.0", "GiB"]
    assert "w0      cpu     weights  3.0 GiB" in out.getvalue()
    assert "- It [fits]." in out.getvalue()


def test_what_others_use_and_what_is_kept_free_has_no_column_where_there_is_none(out):
    render.plan(document(device("cpu"), device("CUDA0")))
    assert words(out, "device") == ["device", "total", "usable", "planned"]


def test_what_others_use_and_what_is_kept_free_is_shown_where_there_is_some(out):
    render.plan(document(device("cpu"), device("CUDA0", others=1, reserve=3)))
    heads = ["device", "total", "in", "use", "kept", "free", "usable", "planned"]
    assert words(out, "device  total") == heads
    sizes = " ".join(words(out, "CUDA0"))
    assert sizes == "CUDA0 24.0 GiB 1.0 GiB 3.0 GiB 20.0 GiB 10.0 GiB"
    assert " ".join(words(out, "cpu")) == "cpu 24.0 GiB 0 B 0 B 20.0 GiB 10.0 GiB"


def test_only_what_there_is_has_a_column(out):
    render.plan(document(device("cpu", reserve=4)))
    assert words(out, "device") == ["device", "total", "kept", "free", "usable", "planned"]


def test_models_that_were_rejected_have_a_line_each_and_six_at_the_most(out):
    names = [f"big:{size}b:{quant}" for size in range(9, 0, -1) for quant in ("q8_0", "q4_k_m")]
    render.plan(document(device("cpu"), rejections=[(name, f"Too {name}.") for name in names]))
    lines = [line for line in out.getvalue().splitlines() if line.startswith("- ")]
    assert lines[1] == "- not big:9b:q4_k_m (nor 1 larger): Too big:9b:q4_k_m."
    assert len(lines) == 1 + 6 + 1
    assert lines[-1] == "- 3 more: lswarm plan --json"


def test_there_is_no_more_where_all_are_shown():
    files = [("a:1b:q8_0", "x"), ("a:1b:q4_0", "y"), ("b:1b:q8_0", "z"), ("plain", "w")]
    shown = list(rejected.lines(files, most=3, more=""))
    assert shown == ["not a:1b:q4_0 (nor 1 larger): y", "not b:1b:q8_0: z", "not plain: w"]
    assert list(rejected.lines(files, most=2, more="."))[-1] == "1 more."
    assert list(rejected.lines([], most=2, more="")) == []


HOST = {
    "os": "linux",
    "arch": "x86_64",
    "cpu": {"model": "Some CPU", "physical": 4, "logical": 8},
    "memory": {"total_bytes": 8 * GIB, "available_bytes": 6 * GIB, "limit_bytes": None},
    "devices": [],
}


def test_a_machine_without_accelerators_has_none(out):
    render.hardware(HOST)
    assert words(out, "accelerators") == ["accelerators", "none", "found"]


def test_accelerators_that_the_engine_drives_not_are_not_none(out):
    render.hardware(HOST, undriven=True)
    assert " ".join(words(out, "accelerators")) == "accelerators none that the engine can use"


def test_code_is_shown_as_code(out):
    swarm = {"winner": 0, "answered": 1, "voters": 1, "strategy": "auto", "agreement": 1.0,
             "elapsed_ms": 5}  # fmt: skip
    text = "```python\nprint(1)\n```"
    body = {"swarm": swarm, "choices": [{"message": {"content": text}}]}
    render.answer("How?", body, None)
    assert "print(1)" in out.getvalue()
    assert "```" not in out.getvalue()

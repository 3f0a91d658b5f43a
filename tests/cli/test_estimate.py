"""`lswarm estimate`: the contract's keys, every combination, and refusals."""

import json

import pytest
from click.testing import CliRunner

from local_swarm.cli.group import lswarm
from local_swarm.errors import UsageError
from tests.models.families import FAMILIES, write

KEYS = [
    "ctx", "slots", "kv_unified", "swa_full", "cache_type_k", "cache_type_v", "ubatch", "cells",
    "cells_swa", "kv_full_bytes", "kv_swa_bytes", "recurrent_bytes", "context_bytes",
    "weights_bytes", "output_bytes", "compute_bytes", "compute_method", "total_bytes",
]  # fmt: skip


@pytest.fixture
def run(tmp_path):
    def run(name, *args):
        path = write(tmp_path / "model.gguf", FAMILIES[name])
        return CliRunner().invoke(lswarm, ["estimate", str(path), *args])

    return run


def rows(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["rows"]


def test_the_document_is_the_contract_s(run):
    result = run("gemma-3-4b", "--json")
    document = json.loads(result.stdout)
    assert list(document) == ["model", "rows"]
    assert list(document["model"]) == ["arch", "name", "size_bytes", "layers", "context_train"]
    (row,) = document["rows"]
    assert list(row) == KEYS
    assert (row["ctx"], row["slots"], row["kv_unified"]) == (16384, 1, False)
    summed = row["kv_full_bytes"] + row["kv_swa_bytes"] + row["recurrent_bytes"]
    assert row["context_bytes"] == summed
    assert row["output_bytes"] == 1000 * 4
    rest = row["weights_bytes"] + row["output_bytes"] + row["compute_bytes"]
    assert row["total_bytes"] == row["context_bytes"] + rest


def test_there_is_one_row_for_each_combination(run):
    result = run(
        "qwen2.5-coder-7b", "--json", "--ctx", "4096,32768", "--slots", "1,4",
        "--cache-type", "f16,q8_0:q4_0", "--ubatch", "128",
    )  # fmt: skip
    found = [(r["ctx"], r["slots"], r["cache_type_k"], r["cache_type_v"]) for r in rows(result)]
    assert found == [
        (ctx, slots, *kinds)
        for ctx in (4096, 32768)
        for slots in (1, 4)
        for kinds in (("f16", "f16"), ("q8_0", "q4_0"))
    ]
    assert {r["ubatch"] for r in rows(result)} == {128}


def test_the_context_is_the_engine_s_own_and_rounded_as_it_rounds(run):
    (split,) = rows(run("qwen2.5-coder-7b", "--json", "--ctx", "10000", "--slots", "3"))
    assert split["cells"] == 3584
    (one,) = rows(
        run("qwen2.5-coder-7b", "--json", "--ctx", "10000", "--slots", "3", "--kv-unified")
    )
    assert one["cells"] == 10240


def test_flags_reach_the_engine_s_rules(run):
    (full,) = rows(run("gemma-3-4b", "--json", "--ctx", "32768", "--swa-full"))
    assert full["cells_swa"] == full["cells"] == 32768
    (off,) = rows(run("openelm", "--json", "--ctx", "4096", "--flash-attn", "off"))
    (on,) = rows(run("openelm", "--json", "--ctx", "4096", "--flash-attn", "on"))
    assert off["context_bytes"] > on["context_bytes"]


def test_people_see_a_table_and_what_is_not_exact(run):
    shown = run("granite-4-h-tiny", "--ctx", "4096")
    assert shown.exit_code == 0
    assert "granitehybrid" in shown.output
    assert "<= " in shown.output
    assert "an upper bound" in shown.output


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("qwen2.5-coder-7b", ["--ctx", "many"]),
        ("qwen2.5-coder-7b", ["--ctx", "4096,"]),
        ("qwen2.5-coder-7b", ["--ctx", "0"]),
        ("qwen2.5-coder-7b", ["--ctx", "٣"]),
        ("qwen2.5-coder-7b", ["--ctx", "9" * 5000]),
        ("qwen2.5-coder-7b", ["--slots", "257"]),
        ("qwen2.5-coder-7b", ["--slots", "-1"]),
        ("qwen2.5-coder-7b", ["--ubatch", "1,2"]),
        ("qwen2.5-coder-7b", ["--cache-type", "q3_0"]),
        ("qwen2.5-coder-7b", ["--cache-type", "f16:"]),
        ("qwen2.5-coder-7b", ["--flash-attn", "maybe"]),
        ("qwen2.5-coder-7b", ["--flash-attn", "off", "--cache-type", "f16:q8_0"]),
        ("deepseek-coder-v2-lite", ["--cache-type", "q8_0:q4_0"]),
    ],
)
def test_what_cannot_be_is_refused(run, name, args):
    result = run(name, *args)
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert result.exception.hint

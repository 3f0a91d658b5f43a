"""The parts of the suite's runner that can be wrong without anybody noticing."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from local_swarm.models.gguf import read_header
from tests.conformance import flags, models, results
from tests.conformance.__main__ import DEMO
from tests.conformance.reasons import REASONS
from tests.conformance.results import FAILED, PASSED, SKIPPED, Outcome

GIVEN = shlex.split(
    "--port 8080 --temp 0.8 --host 127.0.0.1 --offline --hf-repo ggml-org/tinygemma3-GGUF:Q8_0 "
    "--batch-size 32 --metrics --no-slots --alias tiny --ctx-size 512 --parallel 2 --api-key k "
    "--lora a.gguf --no-jinja"
)


@pytest.fixture
def files(tmp_path: Path) -> flags.Models:
    return models.make(tmp_path, DEMO)


def test_the_raw_server_gets_the_same_flags_and_a_local_model(files: flags.Models) -> None:
    argv = flags.native(flags.read(GIVEN), "llama-server", files).argv
    assert "--hf-repo" not in argv
    assert argv[argv.index("--model") + 1] == str(files.plain)
    assert argv[argv.index("--mmproj") + 1] == str(files.projector)
    assert argv[argv.index("--lora") + 1] == "a.gguf"
    assert flags.on_port(flags.Start(argv, {}), 9).argv[:3] == ("llama-server", "--port", "9")


def test_the_swarm_gets_its_own_flags_and_is_asked_for_the_rest(files: flags.Models) -> None:
    start = flags.swarm(flags.read(GIVEN), ["lswarm"], "/bin/llama-server", files)
    ours, engine = start.argv[: start.argv.index("--")], start.argv[start.argv.index("--") + 1 :]
    assert ours[ours.index("--slots") + 1] == "2"
    assert ours[ours.index("--ctx") + 1] == "256"
    assert engine == ("--temp", "0.8", "--lora", "a.gguf")
    assert start.env["LSWARM_SERVER__API_KEYS"] == '["k"]'
    assert start.env["LSWARM_ENGINE__PATH"] == "/bin/llama-server"


def test_a_model_with_more_keys_is_otherwise_the_same(files: flags.Models) -> None:
    plain, more = read_header(files.plain), read_header(files.infill)
    assert set(more.metadata) - set(plain.metadata) == {*models.INFILL_TOKENS, "general.filler"}
    assert more.tensors == plain.tensors
    assert files.infill.read_bytes()[more.data_offset :] == DEMO.read_bytes()[plain.data_offset :]


JUNIT = """<testsuites><testsuite>
<testcase classname="unit.test_lora" name="test_lora[a-b]"><failure message="died">
x</failure><system-out>Error: The engine argument --lora cannot be set here: not yet. Wait.
</system-out></testcase>
<testcase classname="unit.test_basic" name="test_props"><failure message="assert 1"/></testcase>
<testcase classname="unit.test_basic" name="test_ok"/>
<testcase classname="unit.test_basic" name="test_slow"><skipped/></testcase>
</testsuite></testsuites>"""


def test_outcomes_are_read_from_pytests_own_file() -> None:
    assert results.outcomes(JUNIT) == {
        "test_lora::test_lora[a-b]": Outcome(FAILED, "--lora is refused: not yet", "died"),
        "test_basic::test_props": Outcome(FAILED, "", "assert 1"),
        "test_basic::test_ok": Outcome(PASSED),
        "test_basic::test_slow": Outcome(SKIPPED),
    }


def test_only_what_the_raw_server_passes_is_a_difference() -> None:
    raw = {"f::a": Outcome(PASSED), "f::b[x]": Outcome(PASSED), "f::c": Outcome(FAILED)}
    ours = {name: Outcome(FAILED) for name in raw}
    found = results.differences(raw, raw, ours, {"f::b[[]*": "as it should be"})
    assert [(d.test, d.why) for d in found] == [("f::a", ""), ("f::b[x]", "as it should be")]
    assert "UNEXPLAINED" in results.report(raw, raw, ours, {})


def test_every_reason_says_something() -> None:
    assert all("::" in pattern and why for pattern, why in REASONS.items())

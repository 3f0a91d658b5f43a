"""Cache and state of every family, against the engine's own bytes and formulas done by hand.

`MEASURED` is what llama.cpp reserved (no-allocation dry runs of the one vendored in
llama-cpp-python 0.3.36). The others are its formulas, spelled out: K and V rows of 2 bytes a value
times cells, and 4 bytes a value of state times slots.
"""

import pytest

from local_swarm.budget.architectures import architecture, known_names, llama_cpp_version
from local_swarm.budget.context import Setting, context_size
from local_swarm.budget.estimate import estimate
from local_swarm.models import read_facts
from tests.models.families import FAMILIES, write

UNIFIED = Setting(32768, 4, kv_unified=True)
SHORT = Setting(300)
ODD = Setting(10000, 3)
QUANTISED = Setting(32768, 4, cache_type_k="q8_0", cache_type_v="q8_0")
WHOLE = Setting(32768, 4, swa_full=True)

MEASURED = {
    "codellama-7b": (17179869184, 268435456, 5637144576, 9126805504),
    "mistral-7b-v0.1": (4294967296, 67108864, 1409286144, 2281701376),
    "phi-3.5-mini": (12884901888, 201326592, 4227858432, 6845104128),
    "starcoder2-7b": (2147483648, 33554432, 704643072, 1140850688),
    "gemma-2-9b": (8543797248, 176160768, 3699376128, 4679270400),
    "gemma-3-4b": (1218445312, 71303168, 767557632, 744226816),
    "gpt-oss-20b": (830472192, 25165824, 320864256, 467927040),
    "qwen3-coder-30b-a3b": (3221225472, 50331648, 1056964608, 1711276032),
    "deepseek-coder-v2-lite": (1019215872, 15925248, 334430208, 541458432),
    "granite-4-h-tiny": (500678656, 62255104, 262262784, 374849536),
    "qwen3-next-80b-a3b": (1121452032, 91619328, 501350400, 743964672),
}
MEASURED_WHOLE = {
    "gemma-2-9b": 11274289152,
    "gemma-3-4b": 4563402752,
    "gpt-oss-20b": 1610612736,
}


@pytest.fixture
def model(tmp_path):
    return lambda name: read_facts(write(tmp_path / "model.gguf", FAMILIES[name]))


def sizes(model, setting):
    size = context_size(model, setting)
    return size.kv_full_bytes, size.kv_swa_bytes, size.recurrent_bytes


@pytest.mark.parametrize("name", MEASURED)
def test_a_context_is_met_to_the_byte(model, name):
    settings = (UNIFIED, SHORT, ODD, QUANTISED)
    assert tuple(context_size(model(name), s).bytes for s in settings) == MEASURED[name]


@pytest.mark.parametrize("name", MEASURED_WHOLE)
def test_a_window_can_be_made_to_keep_all(model, name):
    assert context_size(model(name), WHOLE).bytes == MEASURED_WHOLE[name]


@pytest.mark.parametrize(
    ("name", "full", "window", "state"),
    [
        # 4096 cells; windows of W keep W + 512, in steps of 256; state of one slot
        ("old deepseek", 2 * 4096 * 16 * (192 + 128) * 2, 0, 0),
        ("openelm", (3 + 3 + 4 + 4) * 64 * 2 * 2 * 4096, 0, 0),
        ("deci", (2 + 4) * 128 * 2 * 2 * 4096, 0, 0),
        ("gemma3n", 4 * 2 * 256 * 4 * 4096, 16 * 2 * 256 * 4 * 1024, 0),
        ("gemma4", 1 * 2 * 256 * 4 * 4096, 7 * 2 * 128 * 4 * 1024, 0),
        ("cohere2", 2 * 2 * 128 * 4 * 4096, 6 * 2 * 128 * 4 * 1024, 0),
        ("cohere2moe", 2 * 2 * 128 * 4 * 4096, 6 * 2 * 128 * 4 * 1024, 0),
        ("llama4", 2 * 2 * 128 * 4 * 4096, 6 * 2 * 128 * 4 * 4096, 0),
        ("llama4 without chunks", 8 * 2 * 128 * 4 * 4096, 0, 0),
        ("exaone4 of 64", 16 * 2 * 128 * 4 * 4096, 48 * 2 * 128 * 4 * 4096, 0),
        ("exaone4 of 30", 30 * 2 * 128 * 4 * 4096, 0, 0),
        ("olmo2", 8 * 1024 * 4 * 4096, 0, 0),
        ("olmo3", 2 * 1024 * 4 * 4096, 6 * 1024 * 4 * 4096, 0),
        ("smallthinker", 2 * 2 * 128 * 4 * 4096, 6 * 2 * 128 * 4 * 4096, 0),
        ("mamba", 0, 0, 4 * 4 * (3 * 1536 + 16 * 1536)),
        ("mamba2", 0, 0, 4 * 4 * (3 * (1536 + 2 * 2 * 128) + 128 * 1536)),
        ("rwkv6", 0, 0, 4 * 4 * (2 * 2048 + 2048 * 64)),
        ("arwkv7", 0, 0, 4 * 4 * (1 * 2048 + 2048 * 64)),
        ("jamba", 1 * 2 * 128 * 4 * 4096, 0, 7 * 4 * (3 * 2048 + 16 * 2048)),
        ("lfm2", 2 * 8 * 64 * 4 * 4096, 0, 6 * 4 * 1024 * 2),
        ("lfm2 with a window", 0, 2 * 8 * 64 * 4 * 768, 6 * 4 * 1024 * 2),
        ("falcon-h1", 4 * 2 * 64 * 4 * 4096, 0, 4 * 4 * (3 * (1536 + 256) + 128 * 1536)),
        ("qwen35", 2 * 2 * 256 * 4 * 4096, 0, 6 * 4 * (3 * (2048 + 4096) + 128 * 2048)),
        ("glm4moe", 4 * 2 * 128 * 4 * 4096, 0, 0),
        ("nemotron_h", 1 * 2 * 128 * 4 * 4096, 0, 2 * 4 * (3 * (2048 + 2048) + 128 * 2048)),
        ("kimi-linear", 1 * 576 * 2 * 4096, 0, 3 * 4 * (3 * 3 * 8 * 128 + 128 * 128 * 8)),
        ("minimax-01", 1 * 2 * 128 * 4 * 4096, 0, 7 * 4 * 128 * 128 * 8),
        ("deepseek32", 3 * (576 + 128) * 2 * 4096, 0, 0),
        ("nanbeige", 8 * 2 * 128 * 4 * 4096, 0, 0),
        ("modern-bert", 0, 0, 0),
        ("unheard-of", 4 * 2 * 128 * 4 * 4096, 0, 0),
    ],
)
def test_every_family_keeps_what_its_formula_says(model, name, full, window, state):
    assert sizes(model(name), Setting(4096)) == (full, window, state)


def test_only_state_grows_with_slots_alone(model):
    one, four = Setting(4096, kv_unified=True), Setting(4096, 4, kv_unified=True)
    lfm = model("lfm2")
    assert sizes(lfm, four)[:2] == sizes(lfm, one)[:2]
    assert sizes(lfm, four)[2] == 4 * sizes(lfm, one)[2]


def test_windows_of_a_unified_pool_add_up_and_those_of_split_ones_stand_alone(model):
    gemma = model("gemma-3-4b")
    split, unified = Setting(32768, 4), UNIFIED
    assert context_size(gemma, split).cells_swa == 1024 + 512  # in each of four streams
    assert context_size(gemma, unified).cells_swa == 4 * 1024 + 512
    assert context_size(gemma, Setting(32768, 4, ubatch=64)).cells_swa == 1280  # 1088, rounded up


def test_without_flash_attention_values_are_as_wide_as_the_widest(model):
    off = Setting(4096, flash_attention="off")
    assert sizes(model("openelm"), off)[0] == ((3 + 3 + 4 + 4) + 4 * 4) * 64 * 2 * 4096
    assert sizes(model("deci"), off)[0] == ((2 + 0 + 4) + 3 * 4) * 128 * 2 * 4096
    same = model("codellama-7b")
    assert sizes(same, off) == sizes(same, Setting(4096))


def test_an_unknown_architecture_says_so(model):
    made = estimate(model("unheard-of"), Setting(4096))
    assert any("'unheard-of' is unknown" in note for note in made.notes)
    assert made.compute.method == "bound"
    assert not any("unknown" in n for n in estimate(model("olmo3"), Setting(4096)).notes)


def test_the_table_names_its_engine_and_every_architecture_can_be_asked():
    assert "llama.cpp" in llama_cpp_version()
    for name in known_names():
        assert architecture(name).known
    assert not architecture("unheard-of").known

"""The catalogue that is shipped: complete, unique, and enough to plan with."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from local_swarm.budget.weights import weights_bytes
from local_swarm.errors import ConfigError, ModelError
from local_swarm.models import catalogue
from local_swarm.models.entries import BITS_PER_WEIGHT, Choice, Entry, part_names, unsplit_stem

SHIPPED = catalogue.load()
CHOICES = [Choice(entry, file) for entry in SHIPPED for file in entry.files]
ROOT = Path(__file__).parents[2]
NEEDED = ("block_count", "context_length", "embedding_length")

SMALL = """
[[model]]
family = "mine"
size = "7b"
name = "Mine 7B"
repo = "me/Mine-GGUF"
licence = "mit"
parameters = 7_000_000_000
context = 8192
quality = 50
quality_basis = "a guess of mine"
arch = "llama"
vocabulary = 32000
header_source = "config.json"
files = [{ quant = "Q4_K_M", file = "mine-q4_k_m.gguf" }]

[model.header]
block_count = 32
context_length = 8192
embedding_length = 4096
feed_forward_length = 11008
attention.head_count = 32
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "models.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.id)
def test_every_entry_is_complete(entry):
    assert all(key in entry.header for key in NEEDED)
    assert entry.header["context_length"] >= entry.context >= 4096 or entry.size == "135m"
    assert entry.files == tuple(sorted(entry.files, key=lambda f: -Choice(entry, f).planned_bytes))
    assert len({file.quant for file in entry.files}) == len(entry.files)
    assert entry.scores or "placed" in entry.quality_basis
    for score in entry.scores:
        assert "http" in score.source or "arXiv" in score.source


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_every_file_has_a_plausible_size(choice):
    bits = choice.planned_bytes * 8 / choice.entry.parameters
    assert 2.3 < bits < 17
    if choice.file.quant in BITS_PER_WEIGHT and choice.entry.parameters > 3e9:
        assert bits == pytest.approx(BITS_PER_WEIGHT[choice.file.quant], rel=0.13)
    assert choice.file.quant.lower() in choice.file.file.lower().replace("-", "_")


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_every_entry_can_be_planned_before_it_is_downloaded(choice):
    facts = catalogue.facts(choice)
    assert facts.arch == choice.entry.arch
    assert facts.layers == choice.entry.header["block_count"]
    assert facts.vocab_size == choice.entry.vocabulary
    assert facts.size_bytes == choice.planned_bytes
    assert sum(tensor.size_bytes for tensor in facts.tensors) == choice.planned_bytes
    assert weights_bytes(facts) == pytest.approx(choice.planned_bytes, rel=0.001)
    assert all(tensor.size_bytes > 0 for tensor in facts.tensors)


def test_the_parameters_agree_with_the_header():
    """Embeddings, attention and feed-forward add up to about what the makers say."""
    for entry in SHIPPED:
        if "expert_count" in entry.header or "ssm.inner_size" in entry.header:
            continue
        h = entry.header
        width, heads = h["embedding_length"], h["attention.head_count"]
        key = h.get("attention.key_length", width // heads)
        kv = h.get("attention.head_count_kv", heads)
        matrices = 2 if entry.arch == "starcoder2" else 3
        layer = 2 * width * key * (heads + kv) + matrices * width * h["feed_forward_length"]
        total = layer * h["block_count"] + width * entry.vocabulary
        assert entry.parameters == pytest.approx(total, rel=0.01) or (
            entry.parameters == pytest.approx(total + width * entry.vocabulary, rel=0.01)
        ), entry.id


def test_names_files_and_repositories_are_unique():
    names = [choice.name for choice in CHOICES]
    places = [(choice.repo, choice.file.file) for choice in CHOICES]
    assert len(set(names)) == len(names)
    assert len(set(places)) == len(places)


def test_the_best_for_coding_comes_first():
    qualities = [entry.quality for entry in SHIPPED]
    assert qualities == sorted(qualities, reverse=True)
    assert len(set(qualities)) > 10


def test_there_is_something_for_every_machine():
    sizes = sorted(choice.planned_bytes for choice in CHOICES)
    assert sizes[0] < 300e6
    assert sizes[-1] > 50e9
    families = {entry.family for entry in SHIPPED}
    assert families >= {
        "qwen2.5-coder", "qwen3-coder", "gpt-oss", "devstral-small", "deepseek-coder",
        "deepseek-coder-v2-lite", "llama3.1", "llama3.2", "phi3.5-mini", "gemma3", "granite3.3",
        "codellama", "starcoder2", "smollm2",
    }  # fmt: skip


def test_a_full_name_is_one_file():
    (choice,) = catalogue.find("qwen2.5-coder:7b:q4_k_m")
    assert choice.name == "qwen2.5-coder:7b:q4_k_m"
    assert choice.repo == "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF"
    assert choice.file.names == ("qwen2.5-coder-7b-instruct-q4_k_m.gguf",)


def test_upper_case_and_a_short_quantisation_are_understood():
    (choice,) = catalogue.find(" Qwen2.5-Coder:7B:Q4 ")
    assert choice.file.quant == "Q4_K_M"


def test_a_family_leaves_its_sizes_open_best_first():
    found = catalogue.find("qwen2.5-coder")
    assert found[0].entry.size == "32b"
    assert found[-1].entry.size == "0.5b"
    assert found[0].planned_bytes > found[1].planned_bytes


def test_the_usual_file_of_a_size_is_q4_k_m():
    name = "qwen2.5-coder:7b"
    assert catalogue.usual(catalogue.find(name), name).file.quant == "Q4_K_M"


def test_a_family_with_several_sizes_has_no_usual_file():
    with pytest.raises(ModelError, match="several sizes") as caught:
        catalogue.usual(catalogue.find("qwen2.5-coder"), "qwen2.5-coder")
    assert "qwen2.5-coder:7b" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("qwen2.5-codr", "qwen2.5-coder"),
        ("qwen25-coder:7b", "qwen2.5-coder:7b"),
        ("qwen2.5-coder:8b", "qwen2.5-coder:7b"),
        ("qwen2.5-coder:7b:q9", "qwen2.5-coder:7b:q4_k_m"),
        ("lama3.1:8b", "llama3.1:8b"),
        ("", "lswarm models list"),
    ],
)
def test_a_miss_names_the_nearest(name, near):
    with pytest.raises(ModelError) as caught:
        catalogue.find(name)
    assert near in caught.value.hint


def test_the_example_in_the_documentation_is_an_entry(written):
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (entry,) = catalogue.read(written(text.split("```toml\n")[1].split("```")[0]))
    assert entry.id == "mine:7b"
    described = set(re.findall(r"^([a-z_]+) =", text, re.MULTILINE))
    assert {field.name for field in msgspec.structs.fields(Entry)} - described == {
        "header", "active_parameters", "note"
    }  # fmt: skip


def test_a_base_model_has_no_chat_template():
    (choice,) = catalogue.find("starcoder2:7b:q4")
    assert not catalogue.facts(choice).has_chat_template


def test_a_catalogue_of_ones_own_adds_and_replaces(written):
    entries = catalogue.load(written(SMALL))
    assert len(entries) == len(SHIPPED) + 1
    assert catalogue.find("mine", entries)[0].planned_bytes == int(7e9 * 4.89 / 8 * 1.03)
    replaced = SMALL.replace('"mine"', '"qwen2.5-coder"')
    entries = catalogue.load(written(replaced))
    assert len(entries) == len(SHIPPED)
    assert catalogue.find("qwen2.5-coder:7b", entries)[0].repo == "me/Mine-GGUF"


def test_the_users_own_catalogue_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.toml").write_text(SMALL)
    assert catalogue.find("mine:7b")[0].name == "mine:7b:q4_k_m"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("licence =", "license ="),
            "mine:7b has the unknown key 'license', the nearest is 'licen",
        ),
        (("quant =", "quantization ="), "mine:7b has the unknown key 'quantization'"),
        (("[[model]]", "[[models]]"), "unknown key 'models', the nearest is 'model'"),
        (('size = "7b"', 'size = "7 B"'), "size"),
        (("quality = 50", "quality = 150"), "quality"),
        (('name = "Mine 7B"', ""), "name"),
        (("mine-q4_k_m.gguf", "../../etc/passwd.gguf"), "file"),
        (("[[model]]", "[[model"), "wrong"),
    ],
)
def test_a_wrong_catalogue_says_where(written, change, said):
    with pytest.raises(ConfigError) as caught:
        catalogue.load(written(SMALL.replace(*change)))
    assert said in caught.value.message
    assert "models.toml" in caught.value.message


def test_the_same_model_twice_in_one_file_is_refused(written):
    with pytest.raises(ConfigError, match="mine:7b twice"):
        catalogue.load(written(SMALL + SMALL))


def test_a_catalogue_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        catalogue.load(tmp_path / "none.toml")


def test_parts_are_counted_from_the_first_ones_name():
    assert part_names("a/b-00001-of-00002.gguf") == (
        "a/b-00001-of-00002.gguf",
        "a/b-00002-of-00002.gguf",
    )
    assert part_names("b.gguf") == ("b.gguf",)
    assert unsplit_stem("a/b-00001-of-00002.gguf") == "b"

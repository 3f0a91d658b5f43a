"""What may be written after `--model`."""

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import resolve
from tests.models.gguf_files import small_llama


@pytest.fixture
def assets(tmp_path):
    (tmp_path / "demo.gguf").write_bytes(small_llama().encode())
    return tmp_path


def test_the_builtin_model(assets):
    source = resolve("builtin:demo", assets=assets)
    assert source.path == assets / "demo.gguf"
    assert source.model_id == "local-swarm-demo"
    assert source.facts.name == "Small Llama"


def test_the_packaged_builtin_model_can_be_read():
    facts = resolve("builtin:demo").facts
    assert facts.arch == "llama"
    assert facts.context_train >= 4096
    assert facts.has_chat_template


def test_a_file_is_known_by_its_stem(tmp_path):
    path = tmp_path / "Fine-Coder-7B.Q4_K_M.gguf"
    path.write_bytes(small_llama().encode())
    source = resolve(str(path))
    assert (source.path, source.model_id) == (path, "Fine-Coder-7B.Q4_K_M")


def test_a_relative_path_and_the_home_directory(assets, monkeypatch):
    monkeypatch.chdir(assets)
    monkeypatch.setenv("HOME", str(assets))
    monkeypatch.setenv("USERPROFILE", str(assets))
    assert resolve("demo.gguf").path == assets / "demo.gguf"
    assert resolve("~/demo.gguf").path == assets / "demo.gguf"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("builtin:other", "no builtin model 'builtin:other'"),
        ("builtin:../demo", "no builtin model"),
        ("missing.gguf", "does not exist"),
        ("./somewhere/else", "does not exist"),
        ("../assets", "does not exist|is a directory"),
        ("", "empty"),
        ("a\0b", "unreadable"),
        ("~nobody-by-that-name/x.gguf", "does not exist"),
    ],
)
def test_what_cannot_be_resolved_says_what_works(assets, monkeypatch, reference, said):
    monkeypatch.chdir(assets)
    with pytest.raises(ModelError, match=said) as caught:
        resolve(reference, assets=assets)
    assert "builtin:demo" in caught.value.hint


def test_a_directory_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="is a directory"):
        resolve(f"{tmp_path}/")


def test_an_installation_without_the_builtin_model_says_so(tmp_path):
    with pytest.raises(ModelError, match="missing from this installation"):
        resolve("builtin:demo", assets=tmp_path)

"""What lies in the store, what a name means in it, and what goes when it is removed."""

from __future__ import annotations

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import references, resolve
from local_swarm.models.pulling import has_checksum, problems
from local_swarm.models.source import all_in_store, in_store
from local_swarm.models.store import Origin, Store, origin_path, read_origin, write_origin
from tests.models.gguf_files import small_llama

QWEN = "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF"
Q4 = "qwen2.5-coder-7b-instruct-q4_k_m.gguf"
Q8 = "qwen2.5-coder-7b-instruct-q8_0.gguf"


@pytest.fixture
def put(store):
    def write(repo, name, data=None, sha256=None):
        path = store.path(repo, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small_llama().encode() if data is None else data)
        if sha256:
            write_origin(path, Origin(repo, name, "main", path.stat().st_size, sha256))
        return path

    return write


def test_an_empty_store_has_nothing_and_creates_nothing(store):
    assert store.all() == ()
    assert not store.root.exists()


def test_a_setting_names_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    assert Store.of().root == tmp_path / "cache" / "models"
    assert Store.of(str(tmp_path / "other")).root == tmp_path / "other"


def test_what_was_put_there_by_hand_is_found(put, store):
    path = put(QWEN, Q4)
    (found,) = store.all()
    assert (found.path, found.model_id) == (path, Q4.removesuffix(".gguf"))
    assert resolve("qwen2.5-coder:7b", store=store).path == path
    assert resolve(f"hf:{QWEN}", store=store).path == path


def test_of_several_the_best_is_meant(put, store):
    put(QWEN, Q4)
    best = put(QWEN, Q8)
    small = put("bartowski/Qwen2.5-Coder-3B-Instruct-GGUF", "Qwen2.5-Coder-3B-Instruct-Q8_0.gguf")
    assert in_store("qwen2.5-coder", store).path == best
    assert in_store("qwen2.5-coder:3b", store).path == small
    assert in_store("qwen2.5-coder:7b:q4_k_m", store).path.name == Q4
    assert in_store(f"hf:{QWEN}:q4_k_m", store).path.name == Q4
    assert in_store(f"hf:{QWEN}:{Q8}", store).path == best
    assert len(all_in_store("qwen2.5-coder", store)) == 3


def test_a_file_renamed_on_the_hub_is_still_the_catalogues(put, store):
    path = put(QWEN, "Qwen2.5-Coder-7B-v2-Q4_K_M.gguf")
    assert in_store("qwen2.5-coder:7b", store).path == path


@pytest.mark.parametrize("name", ["qwen2.5-coder:7b", "qwen2.5-coder", f"hf:{QWEN}:Q5_K_M"])
def test_what_is_not_downloaded_says_how_to(store, name):
    with pytest.raises(ModelError, match="is not downloaded") as caught:
        resolve(name, store=store)
    assert caught.value.hint == f"Run `lswarm models pull {name}`."
    assert caught.value.exit_code == 5


def test_a_split_model_counts_when_every_part_is_there(put, store):
    put("m/Big-GGUF", "Q4/big-Q4_K_M-00001-of-00002.gguf")
    assert store.all() == ()
    put("m/Big-GGUF", "Q4/big-Q4_K_M-00002-of-00002.gguf")
    (found,) = store.all()
    assert len(found.paths) == 2
    assert found.model_id == "big-Q4_K_M"
    assert store.holding(found.paths[1]) == found


def test_removing_takes_the_files_and_what_belongs_to_them(put, store):
    path = put(QWEN, Q4, sha256="0" * 64)
    keep = put(QWEN, Q8)
    (path.parent / f"{Q4}.0123456789ab.part").write_bytes(b"x")
    (path.parent / f"{Q4}.lock").touch()
    freed = store.remove(in_store("qwen2.5-coder:7b:q4_k_m", store))
    assert freed > len(small_llama().encode())
    assert list(keep.parent.iterdir()) == [keep]
    store.remove(in_store("qwen2.5-coder:7b", store))
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("name", ["../../outside.gguf", "/etc/passwd", "a/../../../x.gguf"])
def test_no_name_leads_out_of_the_store(store, name):
    with pytest.raises(ModelError):
        store.path(QWEN, name)


def test_a_sound_model_has_no_problems(put, store):
    put(QWEN, Q4)
    (found,) = store.all()
    assert list(problems(found)) == []
    assert not has_checksum(found)


def test_a_changed_file_is_found_out(put, store):
    path = put(QWEN, Q4, sha256="0" * 64)
    (found,) = store.all()
    assert has_checksum(found)
    assert ["checksum" in text for text in problems(found)] == [True]
    path.write_bytes(path.read_bytes()[:-1])
    assert any(f"not {found.size_bytes}" in text for text in problems(found))
    path.write_bytes(path.read_bytes()[:-9000])
    assert any("cut short" in text for text in problems(found))


def test_a_spoiled_record_is_no_record(put, store):
    path = put(QWEN, Q4, sha256="0" * 64)
    origin_path(path).write_text("{")
    assert read_origin(path) is None


@pytest.mark.parametrize(
    ("text", "repo", "quant", "file"),
    [
        ("hf:a/b", "a/b", "", ""),
        ("hf:a/b-GGUF:Q4_K_M", "a/b-GGUF", "Q4_K_M", ""),
        ("hf:a/b:sub/x-Q8_0.gguf", "a/b", "", "sub/x-Q8_0.gguf"),
    ],
)
def test_a_hub_reference_is_read(text, repo, quant, file):
    assert references.parse(text) == references.HubReference(repo, quant, file)


@pytest.mark.parametrize("text", ["hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/b:../x.gguf"])
def test_what_is_no_reference_says_how_one_looks(text):
    with pytest.raises(ModelError, match="does not name a repository") as caught:
        references.parse(text)
    assert "hf:owner/repo" in caught.value.hint


FILES = [
    "README.md",
    "mmproj-F16.gguf",
    "imatrix.gguf",
    "m-Q4_K_M.gguf",
    "m-UD-Q4_K_M.gguf",
    "m-q8_0-00001-of-00002.gguf",
    "m-q8_0-00002-of-00002.gguf",
    "m-q8_0.gguf",
    "big/m-BF16-00001-of-00002.gguf",
    "big/m-BF16-00002-of-00002.gguf",
]


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        ("hf:a/b", "m-Q4_K_M.gguf"),
        ("hf:a/b:q4_k_m", "m-Q4_K_M.gguf"),
        ("hf:a/b:UD-Q4_K_M", "m-UD-Q4_K_M.gguf"),
        ("hf:a/b:Q8_0", "m-q8_0.gguf"),
        ("hf:a/b:bf16", "big/m-BF16-00001-of-00002.gguf"),
        ("hf:a/b:m-UD-Q4_K_M.gguf", "m-UD-Q4_K_M.gguf"),
    ],
)
def test_the_file_that_is_meant(wanted, file):
    assert references.chosen(references.parse(wanted), FILES) == file


@pytest.mark.parametrize(
    ("wanted", "files", "said"),
    [
        ("hf:a/b:Q3_K_M", FILES, "holds no Q3_K_M"),
        ("hf:a/b", ["README.md"], "holds no .gguf model"),
        ("hf:a/b", ["x-Q2_K.gguf", "x-Q3_K_S.gguf"], "holds no the usual|holds no"),
        ("hf:a/b:Q4_0", ["x-Q4_0.gguf", "y-Q4_0.gguf"], "several files for Q4_0"),
    ],
)
def test_a_repository_without_the_file_says_what_it_has(wanted, files, said):
    with pytest.raises(ModelError, match=said):
        references.chosen(references.parse(wanted), files)

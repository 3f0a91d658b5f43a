"""A header read from the hub, and what the store and the names make of files."""

from __future__ import annotations

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import hub as room
from local_swarm.models.hub import FIRST_BYTES, read_remote_facts, read_remote_header
from local_swarm.models.hub_errors import Transient
from tests.models.gguf_files import TensorSpec, small_llama

REPO = "maker/Fine-Coder-GGUF"


def with_vocabulary(tokens: int) -> bytes:
    """A small model with a large vocabulary, and 8 MB of weights behind it."""
    file = small_llama(tokenizer__ggml__tokens=[f"a rather long token {n}" for n in range(tokens)])
    file.tensors.append(TensorSpec("blk.1.ffn_up.weight", (2048, 2048)))
    return file.encode()


@pytest.fixture
def remote(hub):
    def put(data: bytes) -> None:
        hub.repos[REPO] = {"fine.gguf": data}

    return put


def sent(hub):
    """The bytes asked for, request by request."""
    spans = [seen.headers["range"].removeprefix("bytes=").split("-") for seen in hub.asked("cdn")]
    return [int(end) - int(start) + 1 for start, end in spans]


def test_a_header_is_read_without_the_file(hub, remote, tmp_path):
    data = with_vocabulary(100)
    remote(data)
    facts = read_remote_facts(REPO, "fine.gguf")
    assert (facts.arch, facts.vocab_size, facts.layers) == ("llama", 100, 2)
    assert facts.size_bytes == len(data)
    assert sum(sent(hub)) == FIRST_BYTES < len(data)


def test_a_large_vocabulary_takes_a_few_growing_reads(hub, remote):
    data = with_vocabulary(60_000)
    remote(data)
    assert read_remote_header(REPO, "fine.gguf").metadata["tokenizer.ggml.tokens"].count == 60_000
    assert sent(hub) == [FIRST_BYTES, 3 * FIRST_BYTES]


def test_a_small_file_is_read_once(hub, remote):
    remote(small_llama().encode())
    assert read_remote_facts(REPO, "fine.gguf").name == "Small Llama"
    assert len(sent(hub)) == 1


def test_a_foreign_file_costs_one_read(hub, remote):
    remote(b"PK\x03\x04" + bytes(9_000_000))
    with pytest.raises(ModelError, match="zip archive"):
        read_remote_header(REPO, "fine.gguf")
    assert sent(hub) == [FIRST_BYTES]


def test_a_header_without_an_end_is_bounded(hub, remote, monkeypatch):
    monkeypatch.setattr(room, "MOST_HEADER_BYTES", 4 * FIRST_BYTES)
    remote(with_vocabulary(400_000))
    with pytest.raises(ModelError):
        read_remote_header(REPO, "fine.gguf")
    assert sum(sent(hub)) == 4 * FIRST_BYTES


def test_zeros_behind_what_was_read_are_not_taken_for_a_header(hub, remote, monkeypatch):
    """Cut in the middle of the tensor table, the rest reads as something."""
    data = with_vocabulary(60_000)
    remote(data)
    table = data.index(b"output_norm.weight")
    monkeypatch.setattr(room, "FIRST_BYTES", table)
    monkeypatch.setattr(room, "MOST_HEADER_BYTES", table)
    with pytest.raises(ModelError):
        read_remote_header(REPO, "fine.gguf")


def test_a_server_without_ranges_is_read_no_further_than_needed(hub, remote):
    hub.ranges = False
    remote(with_vocabulary(60_000))
    assert read_remote_facts(REPO, "fine.gguf").vocab_size == 60_000


def test_a_file_that_is_not_there(hub, remote):
    remote(b"")
    with pytest.raises(ModelError, match=r"has no file other\.gguf"):
        read_remote_header(REPO, "other.gguf")


def test_a_hub_that_is_down_is_told_in_words(hub, remote):
    remote(small_llama().encode())
    hub.file_statuses = [503]
    with pytest.raises(ModelError, match="could not be read: the hub answered 503"):
        read_remote_header(REPO, "fine.gguf")
    hub.statuses = [500]
    with pytest.raises(Transient, match="500"):
        room.listing(REPO)


def test_a_listing_has_sizes_and_checksums(hub):
    hub.repos[REPO] = {"a.gguf": b"abc", "README.md": b"hello"}
    hub.git_files.add("README.md")
    found = room.listing(REPO)
    assert found["a.gguf"].size_bytes == 3
    assert found["a.gguf"].sha256.startswith("ba7816bf")
    assert found["README.md"].sha256 is None
    assert len(hub.seen) == 1

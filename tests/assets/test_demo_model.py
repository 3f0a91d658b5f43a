"""The shipped model: the file its card describes, small, and one llama.cpp can take."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path

import local_swarm.assets

FOLDER = Path(local_swarm.assets.__file__).parent
MODEL = FOLDER / "demo.gguf"
CARD = FOLDER / "demo.md"


def test_the_card_names_the_hash_of_the_file() -> None:
    stated = re.search(r"^(?:- )?sha256: ([0-9a-f]{64})$", CARD.read_text("utf-8"), re.MULTILINE)
    assert stated is not None
    assert stated.group(1) == hashlib.sha256(MODEL.read_bytes()).hexdigest()


def test_the_file_is_small() -> None:
    assert MODEL.stat().st_size <= 4 * 1024 * 1024


def test_the_file_is_gguf_version_three() -> None:
    magic, version = struct.unpack("<4sI", MODEL.read_bytes()[:8])
    assert (magic, version) == (b"GGUF", 3)


def test_the_header_names_model_licence_and_chat_template() -> None:
    head = MODEL.read_bytes()[:200_000]
    for words in (b"Local Swarm demo", b"general.license", b"MIT", b"<|im_start|>", b"<tool_call>"):
        assert words in head


def test_the_card_says_what_the_model_is_not_and_how_it_was_made() -> None:
    card = CARD.read_text("utf-8")
    assert "not** show coding ability" in card
    assert "bin/train_demo_model.py" in card
    for row in ("one sample", "vote of 3", "vote of 5", "vote of 8", "best possible pick of 8"):
        assert f"| {row} |" in card

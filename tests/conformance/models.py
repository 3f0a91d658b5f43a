"""The models that stand for those the suite would download."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.conformance.flags import Models
from tests.engines.small_models import small_projector
from tests.models.gguf_files import string, value

ALIGNMENT = 32
COUNTS = struct.Struct("<4sIQQ")  # magic, version, tensors, keys
# Any tokens will do: what is asked of infill is how it takes a request.
INFILL_TOKENS = {
    "tokenizer.ggml.fim_pre_token_id": 10,
    "tokenizer.ggml.fim_suf_token_id": 11,
    "tokenizer.ggml.fim_mid_token_id": 12,
    "tokenizer.ggml.fim_rep_token_id": 13,
    "tokenizer.ggml.fim_sep_token_id": 14,
}


def make(folder: Path, demo: Path) -> Models:
    """Writes them, named as the suite would have them."""
    plain, infill, eyes = (folder / f"{name}.gguf" for name in ("tinyllama-2", "infill", "eyes"))
    plain.write_bytes(demo.read_bytes())
    infill.write_bytes(with_keys(demo, INFILL_TOKENS))
    eyes.write_bytes(small_projector().encode())
    return Models(plain, infill, eyes)


def with_keys(source: Path, keys: dict[str, int]) -> bytes:
    """The file with these keys before its own, and one more that fills up to the alignment, so
    that the rest of the file is what it was."""
    raw = source.read_bytes()
    magic, version, tensors, count = COUNTS.unpack_from(raw)
    more = b"".join(string(key) + value(item) for key, item in keys.items())
    filler = string("general.filler")
    short = -len(more + filler + value("")) % ALIGNMENT
    more += filler + value(" " * short)
    return COUNTS.pack(magic, version, tensors, count + len(keys) + 1) + more + raw[COUNTS.size :]

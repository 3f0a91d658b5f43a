"""The header that a catalogue entry's file will have, before anything is downloaded. Pure.

Metadata is the entry's own. The tensor table is not published, so the file's size is spread over
the embeddings, one tensor of each layer's attention and one of its feed-forward (or experts), in
proportion to their parameters: sums are exact where the size is, places are near.
"""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.domain.model import Tensor
from local_swarm.models.entries import Choice, Entry
from local_swarm.models.gguf import Header, Value

_F16 = 1


def header_of(choice: Choice) -> Header:
    """What `read_header` would give, but for the tokenizer and the exact tensors."""
    entry = choice.entry
    metadata: dict[str, Value] = {
        "general.architecture": entry.arch,
        "general.name": entry.name,
        f"{entry.arch}.vocab_size": entry.vocabulary,
    }
    if entry.chat:
        metadata["tokenizer.chat_template"] = "from the catalogue"
    for key, value in entry.header.items():
        metadata[f"{entry.arch}.{key}"] = tuple(value) if isinstance(value, list) else value
    size = choice.planned_bytes
    return Header(choice.name, 3, size, 0, metadata, tuple(_tensors(entry, size)))


def _tensors(entry: Entry, size_bytes: int) -> Iterator[Tensor]:
    shapes = list(_shapes(entry))
    values = [_product(shape) for _, shape in shapes]
    total, given = sum(values), 0
    for (name, shape), count in zip(shapes[1:], values[1:], strict=True):
        share = size_bytes * count // total
        given += share
        yield Tensor(name, shape, _F16, share)
    name, shape = shapes[0]
    yield Tensor(name, shape, _F16, size_bytes - given)


def _shapes(entry: Entry) -> Iterator[tuple[str, tuple[int, ...]]]:
    header = entry.header
    width, layers = _number(header, "embedding_length"), _number(header, "block_count")
    yield "token_embd.weight", (width, entry.vocabulary)
    in_layers = entry.parameters - width * entry.vocabulary
    if not entry.tied:
        yield "output.weight", (width, entry.vocabulary)
        in_layers -= width * entry.vocabulary
    attention = _attention(entry, width)
    rest = max(1, in_layers // layers - attention)
    kind = "ffn_up_exps" if "expert_count" in header else "ffn_up"
    for layer in range(layers):
        yield f"blk.{layer}.attn_q.weight", (attention,)
        yield f"blk.{layer}.{kind}.weight", (rest,)


def _attention(entry: Entry, width: int) -> int:
    heads, kv = _number(entry.header, "attention.head_count"), entry.header
    key = _number(kv, "attention.key_length", width // max(1, heads))
    shared = _number(kv, "attention.head_count_kv", heads)
    return 2 * width * key * (heads + shared)


def _number(header: object, key: str, default: int = 1) -> int:
    value = header.get(key, default) if isinstance(header, dict) else default
    if isinstance(value, list):
        value = max(value, default=default)
    return int(value) if isinstance(value, (int, float)) else default


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for length in shape:
        result *= length
    return result

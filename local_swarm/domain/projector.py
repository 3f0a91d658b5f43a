"""What is known of a multimodal projector before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from local_swarm.domain.model import Tensor

Modality = Literal["vision", "audio"]


@dataclass(frozen=True, slots=True)
class Encoder:
    """One encoder of a projector file, in its own words.

    `kind` is the projector type (`gemma3`, `qwen2vl_merger`, ...). `image_size` and `patch_size`
    are pixels per side, `merge` how many patches per side become one token (0: not said); all are 0
    for audio. `windowed` says that some layers attend within windows, for which masks are made.
    """

    modality: Modality
    kind: str
    embedding: int
    feed_forward: int
    heads: int
    projection: int
    image_size: int = 0
    patch_size: int = 0
    merge: int = 0
    windowed: bool = False


@dataclass(frozen=True, slots=True)
class ProjectorFacts:
    """The header of one projector file; `tensors` say what its weights take."""

    path: str
    name: str | None
    size_bytes: int
    encoders: tuple[Encoder, ...]
    tensors: tuple[Tensor, ...]

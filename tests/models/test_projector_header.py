"""A projector is told from a model, and each from anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_swarm.errors import ModelError
from local_swarm.models import read_facts, read_projector
from tests.models.gguf_files import GgufFile, TensorSpec, small_llama

VISION = {
    "general.architecture": "clip",
    "general.name": "Eyes",
    "clip.has_vision_encoder": True,
    "clip.projector_type": "qwen2.5vl_merger",
    "clip.vision.image_size": 560,
    "clip.vision.patch_size": 14,
    "clip.vision.embedding_length": 1280,
    "clip.vision.feed_forward_length": 3420,
    "clip.vision.projection_dim": 2048,
    "clip.vision.attention.head_count": 16,
}
SOUND = {
    "clip.has_audio_encoder": True,
    "clip.audio.embedding_length": 1280,
    "clip.audio.feed_forward_length": 5120,
    "clip.audio.projection_dim": 2048,
    "clip.audio.attention.head_count": 20,
}


def written(tmp_path: Path, keys: dict[str, Any]) -> Path:
    path = tmp_path / "mmproj.gguf"
    kept = {key: value for key, value in keys.items() if value is not None}
    path.write_bytes(GgufFile(keys=kept, tensors=[TensorSpec("v.post_ln.weight", (64,))]).encode())
    return path


def test_the_facts_of_a_projector(tmp_path: Path) -> None:
    found = read_projector(written(tmp_path, {**VISION, "clip.vision.spatial_merge_size": 2}))
    [eyes] = found.encoders
    assert found.name == "Eyes"
    assert (eyes.modality, eyes.kind, eyes.merge) == ("vision", "qwen2.5vl_merger", 2)
    assert (eyes.embedding, eyes.feed_forward, eyes.heads) == (1280, 3420, 16)
    assert (eyes.image_size, eyes.patch_size, eyes.projection) == (560, 14, 2048)
    assert not eyes.windowed
    assert [tensor.size_bytes for tensor in found.tensors] == [128]


@pytest.mark.parametrize("key", ["n_wa_pattern", "wa_layer_indexes"])
def test_windows_are_noticed(tmp_path: Path, key: str) -> None:
    value = [1, 2] if key == "wa_layer_indexes" else 8
    found = read_projector(written(tmp_path, {**VISION, f"clip.vision.{key}": value}))
    assert found.encoders[0].windowed


def test_each_encoder_may_have_a_type_of_its_own(tmp_path: Path) -> None:
    kinds = {"clip.vision.projector_type": "gemma4v", "clip.audio.projector_type": "gemma4a"}
    found = read_projector(written(tmp_path, {**VISION, **SOUND, **kinds, **NO_COMMON_TYPE}))
    assert [(one.modality, one.kind) for one in found.encoders] == [
        ("vision", "gemma4v"),
        ("audio", "gemma4a"),
    ]


NO_COMMON_TYPE: dict[str, Any] = {"clip.projector_type": None}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (NO_COMMON_TYPE, "projector type"),
        ({"clip.has_vision_encoder": False}, "neither for images nor for sound"),
        ({"clip.vision.patch_size": None}, "clip.vision.patch_size"),
        ({"clip.vision.image_size": 1 << 20}, "clip.vision.image_size"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        read_projector(written(tmp_path, {**VISION, **changes}))


def test_a_model_is_no_projector(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(small_llama().encode())
    with pytest.raises(ModelError, match="no multimodal projector but a llama model") as refusal:
        read_projector(path)
    assert "models.mmproj" in (refusal.value.hint or "")


def test_a_projector_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="multimodal projector, not a language model") as refusal:
        read_facts(written(tmp_path, VISION))
    assert "models.mmproj" in (refusal.value.hint or "")


def test_no_file_and_no_gguf_are_refused_as_for_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no file"):
        read_projector(tmp_path / "missing.gguf")
    (tmp_path / "text").write_text("hello, this is no model")
    with pytest.raises(ModelError, match="not a GGUF"):
        read_projector(tmp_path / "text")

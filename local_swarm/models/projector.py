"""A multimodal projector's header as `ProjectorFacts`.

Source of keys: llama.cpp tools/mtmd/clip-impl.h and clip.cpp `load_hparams`, as of the version in
llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from pathlib import Path

from local_swarm.domain.projector import Encoder, Modality, ProjectorFacts
from local_swarm.errors import ModelError
from local_swarm.models.gguf import Header, read_header
from local_swarm.models.keys import Keys, refusal

ARCH = "clip"
MODALITIES: tuple[Modality, ...] = ("vision", "audio")
_WINDOWS = ("n_wa_pattern", "wa_layer_indexes", "wa_pattern_mode", "window_size")


def read_projector(path: Path) -> ProjectorFacts:
    """Reads the header of a projector (an "mmproj" file).

    Blocks for milliseconds. `ModelError` when the file is missing, damaged, another kind of model,
    or has no encoder for images or sound.
    """
    header = read_header(path)
    arch = header.metadata.get("general.architecture")
    if arch != ARCH:
        what = f"a {arch} model" if isinstance(arch, str) and arch else "something else"
        raise ModelError(
            f"{path} is no multimodal projector but {what}.",
            hint="Set `models.mmproj` to the mmproj file that belongs to the model.",
        )
    keys = Keys(header)
    encoders = tuple(_encoder(header, keys, one) for one in MODALITIES if _has(header, one))
    if not encoders:
        raise refusal(header, "it has an encoder neither for images nor for sound")
    name = header.metadata.get("general.name")
    return ProjectorFacts(
        path=header.path,
        name=name if isinstance(name, str) else None,
        size_bytes=header.size_bytes,
        encoders=encoders,
        tensors=header.tensors,
    )


def _has(header: Header, modality: Modality) -> bool:
    return header.metadata.get(f"{ARCH}.has_{modality}_encoder") is True


def _encoder(header: Header, keys: Keys, modality: Modality) -> Encoder:
    """`ModelError` names the key that is missing or makes no sense, as the engine would."""
    pictures = modality == "vision"
    merge = keys.maybe(f"{modality}.spatial_merge_size")
    return Encoder(
        modality=modality,
        kind=_kind(header, modality),
        embedding=keys.count(f"{modality}.embedding_length", 0),
        feed_forward=keys.count(f"{modality}.feed_forward_length", 0),
        heads=keys.count(f"{modality}.attention.head_count", 0),
        projection=keys.count(f"{modality}.projection_dim", 0),
        image_size=keys.count(f"{modality}.image_size", 0, most=8192) if pictures else 0,
        patch_size=keys.count(f"{modality}.patch_size", most=8192) if pictures else 0,
        merge=merge or keys.maybe(f"{modality}.projector.scale_factor") or 0,
        windowed=any(f"{ARCH}.{modality}.{key}" in header.metadata for key in _WINDOWS),
    )


def _kind(header: Header, modality: Modality) -> str:
    """The type for all, or that of one encoder where a file has several."""
    for key in (f"{ARCH}.projector_type", f"{ARCH}.{modality}.projector_type"):
        kind = header.metadata.get(key)
        if isinstance(kind, str) and kind:
            return kind
    raise refusal(header, f"it does not name its projector type ({ARCH}.projector_type)")

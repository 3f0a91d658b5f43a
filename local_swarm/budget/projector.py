"""What a multimodal projector takes: its weights and the scratch memory of its encoders.

Source: llama.cpp tools/mtmd/clip.cpp `load_tensors` (one buffer on one device, read and not
mapped, so every process has its own), `load_hparams` (size of the warm-up image) and
`reserve_compute_meta` (the graph reserved at load), as of the version in llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from local_swarm.budget.placement import Target, stored_size
from local_swarm.budget.weights import host_size
from local_swarm.domain.plan import CPU_DEVICE, MemoryPart
from local_swarm.domain.projector import Encoder, ProjectorFacts

FLOAT = 4
MASK_BYTES = 6  # one in F32, and its copy in F16
POSITIONS = 8  # numbers that say where a patch is
WARMUP_FRAMES = 3000  # clip-model.h `warmup_audio_size`
# Tokens per side of the warm-up image and patches per side of a token, where they are not those of
# one image of `image_size`: clip.cpp `set_warmup_n_tokens`, and `set_limit_image_tokens` where that
# alone decides (the root of the most tokens).
WARMUPS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("qwen2vl_merger", "qwen2.5vl_merger", "qwen3vl_merger", "ling3vl"), (46, 2)),
    **dict.fromkeys(("qwen2.5o", "mimovl", "glm4v", "glm5v", "exaone4_5"), (46, 2)),
    **dict.fromkeys(("dots_ocr", "dots3note_v"), (46, 2)),
    **dict.fromkeys(("hunyuanvl", "muse-glimmer"), (32, 2)),
    "paddleocr": (28, 2),
    **dict.fromkeys(("pixtral", "lightonocr", "phi4"), (16, 2)),
    **dict.fromkeys(("kimivl", "minimax_m3", "youtuvl", "deepseek4v", "lfm2"), (16, 2)),
    **dict.fromkeys(("gemma4v", "gemma4uv"), (16, 3)),
    "kimik25": (64, 2),
}


def projector_parts(
    projector: ProjectorFacts, device: Target | None = None, *, flash_attention: str = "auto"
) -> tuple[MemoryPart, ...]:
    """The weights ("mmproj") and scratch memory ("mmproj_compute") of a projector on `device`.

    None is the host: a worker without a GPU, or `--no-mmproj-offload`. Weights are exact for a file
    whose tensors are all used, as are those of every released projector but gemma3n's (its sound
    encoder is not loaded). Compute is a bound on what is reserved when the engine starts, for one
    image of the warm-up size; a model of any resolution may be sent larger ones and then takes
    more. For encoders that are no plain vision transformer (gemma3nv, the deepseekocr family) it is
    an estimate. "auto" assumes that the device has flash attention for the encoder's heads.
    """
    name = device.id if device else CPU_DEVICE
    weights = sum(
        stored_size(tensor, device) if device else host_size(tensor) for tensor in projector.tensors
    )
    compute = sum(
        compute_bound(encoder, gated=_is_gated(projector), flash=flash_attention != "off")
        for encoder in projector.encoders
    )
    return MemoryPart(name, "mmproj", weights), MemoryPart(name, "mmproj_compute", compute)


def compute_bound(encoder: Encoder, *, gated: bool, flash: bool) -> int:
    """Bytes that live at once when most do.

    On the five kinds measured (mlp, gemma3, qwen2, 2.5 and 3) no more than this, per patch: the
    feed-forward part and four times the embedding, or in attention seven times, and the pixels;
    without flash attention a score for each head and other patch; and for windows a mask, which
    flash attention wants again in F16. Added here: a second result of a gated feed-forward part,
    and one row of the output.
    """
    patches = warmup_patches(encoder)
    feed = (2 if gated else 1) * encoder.feed_forward
    peak = max(feed + 4 * encoder.embedding, 7 * encoder.embedding)
    each = peak + 3 * encoder.patch_size**2 + encoder.projection + POSITIONS
    pair = (0 if flash else FLOAT * encoder.heads) + (MASK_BYTES if encoder.windowed else 0)
    return patches * (FLOAT * each + pair * patches)


def warmup_patches(encoder: Encoder) -> int:
    """Positions of the graph that the engine reserves at start."""
    if encoder.modality == "audio":
        return WARMUP_FRAMES
    per_side = -(-encoder.image_size // encoder.patch_size)
    if encoder.kind in WARMUPS:
        tokens, merge = WARMUPS[encoder.kind]
        per_side = tokens * max(encoder.merge, merge)
    return per_side**2 + 1  # and a class token


def _is_gated(projector: ProjectorFacts) -> bool:
    return any(".ffn_gate." in tensor.name for tensor in projector.tensors)

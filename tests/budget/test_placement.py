"""Which device gets what, by the engine's own rule, counted by hand on small models."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm.budget.context import Setting, context_size
from local_swarm.budget.placement import Target, assign, place
from local_swarm.budget.weights import weights_bytes
from local_swarm.domain.model import ModelFacts, Tensor, Window
from local_swarm.errors import UsageError
from tests.budget.samples import dense

F32, F16, Q8 = 0, 1, 8
CTX = Setting(4096)
ONE = (Target("gpu0", "CUDA"),)
TWO = (Target("gpu0", "CUDA", 8 << 30), Target("gpu1", "CUDA", 24 << 30))


def tensor(name: str, *shape: int, kind: int = F16) -> Tensor:
    values = 1
    for length in shape:
        values *= length
    return Tensor(
        name, shape, kind, {F32: values * 4, F16: values * 2, Q8: values // 32 * 34}[kind]
    )


def model(layers: int = 4, *more: Tensor, tied: bool = False, arch: str = "llama") -> ModelFacts:
    tensors = [tensor("token_embd.weight", 512, 1000), tensor("output_norm.weight", 512, kind=F32)]
    if not tied:
        tensors.append(tensor("output.weight", 512, 1000))
    for n in range(layers):
        tensors.append(tensor(f"blk.{n}.attn_q.weight", 512, 512))
        tensors.append(tensor(f"blk.{n}.ffn_up_exps.weight", 512, 64, 8))
    base = dense(arch, layers=layers, embedding=512, heads=8, heads_kv=2, vocab=1000)
    return replace(base, tensors=(*tensors, *more))


EMBEDDING, NORM, BLOCK, EXPERTS = 512 * 1000 * 2, 512 * 4, 512 * 512 * 2, 512 * 64 * 8 * 2
LAYER_KV = 2 * 2 * 64 * 2 * 4096


def homes(facts, gpu_layers, devices, split=()):
    return assign(facts, gpu_layers, devices, split)


@pytest.mark.parametrize(
    ("gpu_layers", "expected"),
    [
        (0, (0, 0, 0, 0, 0)),
        (1, (0, 0, 0, 0, 1)),  # the output goes first
        (3, (0, 0, 1, 1, 1)),
        (5, (1, 1, 1, 1, 1)),
        (99, (1, 1, 1, 1, 1)),
        (-1, (1, 1, 1, 1, 1)),
    ],
)
def test_the_last_layers_and_the_output_go_to_the_device_first(gpu_layers, expected):
    assert homes(model(), gpu_layers, ONE) == expected


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ((1, 1), (1, 1, 1, 2, 2)),  # 0/5, 1/5, 2/5 below a half
        ((3, 1), (1, 1, 1, 1, 2)),
        ((0, 1), (2, 2, 2, 2, 2)),
        ((1, 0), (1, 1, 1, 1, 1)),
        ((), (1, 1, 2, 2, 2)),  # by free memory, 8 : 24
        ((0, 0), (1, 1, 2, 2, 2)),
    ],
)
def test_layers_follow_the_split(split, expected):
    assert homes(model(), -1, TWO, split) == expected


def test_a_split_at_a_third_is_rounded_as_the_engine_rounds():
    """2/3 in single precision lies at the border: the layer there belongs to the last device."""
    three = (*TWO, Target("gpu2", "CUDA"))
    assert homes(model(8), -1, three, (1, 1, 1)) == (1, 1, 1, 2, 2, 2, 3, 3, 3)


def test_a_split_for_other_devices_is_refused():
    with pytest.raises(UsageError, match="3 parts of a tensor split for 2 devices"):
        place(model(), CTX, gpu_layers=-1, devices=TWO, tensor_split=(1, 1, 1))


@pytest.mark.parametrize("part", [-1, float("nan"), float("inf"), 1e300])
def test_a_split_without_sense_is_refused(part):
    with pytest.raises(UsageError, match="makes no sense"):
        place(model(), CTX, gpu_layers=-1, devices=TWO, tensor_split=(1, part))


def test_weights_and_cache_go_with_their_layers():
    host, gpu = place(model(), CTX, gpu_layers=3, devices=ONE)
    assert host.weights_bytes == EMBEDDING + 2 * (BLOCK + EXPERTS)
    assert gpu.weights_bytes == EMBEDDING + NORM + 2 * (BLOCK + EXPERTS)
    assert (host.kv_bytes, gpu.kv_bytes) == (2 * LAYER_KV, 2 * LAYER_KV)
    assert (host.layers, gpu.layers) == ((0, 1), (2, 3, 4))


def test_a_tied_embedding_is_stored_again_where_the_output_is():
    alone = place(model(tied=True), CTX, gpu_layers=0, devices=ONE)
    host, gpu = place(model(tied=True), CTX, gpu_layers=1, devices=ONE)
    assert sum(share.weights_bytes for share in alone) + EMBEDDING == (
        host.weights_bytes + gpu.weights_bytes
    )
    assert gpu.weights_bytes == EMBEDDING + NORM


def test_two_architectures_store_a_tied_embedding_twice_when_the_file_is_not_mapped():
    for arch, times in (("gemma4", 2), ("gemma3n", 2), ("gemma3", 1)):
        facts = model(tied=True, arch=arch)
        rest = NORM + 4 * (BLOCK + EXPERTS)
        (host,) = place(facts, CTX, gpu_layers=0, devices=(), mapped=False)
        assert host.weights_bytes == weights_bytes(facts) == times * EMBEDDING + rest
        (host,) = place(facts, CTX, gpu_layers=0, devices=())
        assert host.weights_bytes == weights_bytes(facts, mapped=True) == EMBEDDING + rest


def test_quantised_rows_are_filled_up_on_a_device():
    odd = tensor("blk.3.ffn_down.weight", 96, 10, kind=Q8)  # rows of 96 values, 102 bytes each
    _, gpu = place(model(4, odd), CTX, gpu_layers=2, devices=ONE)
    plain = EMBEDDING + NORM + BLOCK + EXPERTS
    assert gpu.weights_bytes - plain == -(-(960 // 32 * 34 + (512 - 96) // 32 * 34) // 128) * 128
    _, metal = place(model(4, odd), CTX, gpu_layers=2, devices=(Target("m", "Metal"),))
    assert metal.weights_bytes - plain == -(-(960 // 32 * 34) // 128) * 128


def test_rope_factors_are_on_every_device_with_a_layer():
    factors = tensor("rope_freqs.weight", 32, kind=F32)
    plain = place(model(), CTX, gpu_layers=-1, devices=TWO, tensor_split=(1, 1))
    with_factors = place(model(4, factors), CTX, gpu_layers=-1, devices=TWO, tensor_split=(1, 1))
    more = [b.weights_bytes - a.weights_bytes for a, b in zip(plain, with_factors, strict=True)]
    assert more == [0, 128, 128]


def test_experts_can_stay_on_the_host_without_their_cache():
    host, gpu = place(model(), CTX, gpu_layers=-1, devices=ONE, cpu_moe_layers=3)
    assert host.weights_bytes == EMBEDDING + 3 * EXPERTS
    assert gpu.weights_bytes == EMBEDDING + NORM + 4 * BLOCK + EXPERTS
    assert (host.kv_bytes, gpu.kv_bytes) == (0, 4 * LAYER_KV)


def test_drafting_blocks_are_not_loaded():
    drafting = replace(model(4, arch="glm4moe"), nextn_layers=1)
    host, gpu = place(drafting, CTX, gpu_layers=-1, devices=ONE)
    assert gpu.weights_bytes == EMBEDDING + NORM + 3 * (BLOCK + EXPERTS)
    assert (host.kv_bytes, gpu.kv_bytes) == (0, 3 * LAYER_KV)


def test_the_cache_can_stay_on_the_host():
    host, gpu = place(model(), CTX, gpu_layers=-1, devices=ONE, kv_offload=False)
    assert (host.kv_bytes, gpu.kv_bytes) == (4 * LAYER_KV, 0)


@settings(deadline=None)
@given(
    st.sampled_from(["llama", "gemma3", "granitehybrid"]),
    st.integers(-1, 40),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
    st.integers(0, 9),
)
def test_nothing_is_lost_wherever_it_lies(arch, gpu_layers, split, cpu_moe):
    """Rows here are whole, so padding adds nothing and devices together hold what a CPU would."""
    facts = replace(model(9, arch=arch), window=Window(512))
    devices = tuple(Target(f"gpu{n}") for n in range(len(split)))
    shares = place(
        facts, CTX, gpu_layers=gpu_layers, devices=devices, tensor_split=split,
        cpu_moe_layers=cpu_moe,
    )  # fmt: skip
    size = context_size(facts, CTX)
    assert sum(share.weights_bytes for share in shares) == weights_bytes(facts)
    assert sum(share.kv_bytes for share in shares) == size.kv_full_bytes + size.kv_swa_bytes
    assert sorted(n for share in shares for n in share.layers) == list(range(10))

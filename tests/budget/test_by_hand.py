"""Numbers by hand are kept or refused, and devices are pinned by what can be told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from local_swarm.budget import Beside, Wishes, plan
from local_swarm.domain.hardware import Device
from local_swarm.domain.plan import CPU_DEVICE
from local_swarm.errors import FitError, UsageError
from tests.budget.samples import dense
from tests.budget.test_gpu_plan import QWEN_7B, QWEN_32B, UUID, gpu, planned, with_gpus

ODD_DRAFT = replace(
    dense(layers=4, embedding=128, heads=4, heads_kv=2, vocab=152064, weights=10**7),
    key_length=24,
)
"""A draft whose heads no q8_0 cache can hold."""


@pytest.mark.parametrize("gib", [8, 12])
def test_layers_that_do_not_fit_are_refused_and_the_device_is_named(gib: int) -> None:
    with pytest.raises(FitError, match=r"of CUDA0, which is") as refusal:
        planned(with_gpus(gpu(gib=gib)), QWEN_32B, gpu_layers=40)
    assert "RAM" not in refusal.value.message
    assert "gpu_layers" in refusal.value.hint


def test_layers_that_fit_are_kept_though_fewer_would_keep_more_voters() -> None:
    made = planned(with_gpus(gpu(gib=15)), QWEN_32B, gpu_layers=40)
    assert made.workers[0].gpu_layers == 40
    assert made.workers[0].devices == ("CUDA0",)
    assert made.voters < planned(with_gpus(gpu(gib=15)), QWEN_32B).voters


@pytest.mark.parametrize("wishes", [{"gpu_layers": 5}, {"gpu_layers": 5, "devices": ("cpu",)}])
def test_layers_without_an_accelerator_are_refused(wishes: dict[str, Any]) -> None:
    host = with_gpus() if "devices" not in wishes else with_gpus(gpu())
    with pytest.raises(UsageError, match="gpu_layers is 5, and no accelerator takes part"):
        planned(host, **wishes)


def test_devices_by_hand_that_are_too_small_are_refused_whatever_else_is_there() -> None:
    host = with_gpus(gpu(0, 2), gpu(1, 24))
    with pytest.raises(FitError, match=r"of CUDA0, which is"):
        planned(host, devices=("CUDA0",))
    assert planned(host).workers[0].devices == ("CUDA1",)
    two = with_gpus(gpu(0, 2), gpu(1, 2), gpu(2, 48))
    with pytest.raises(FitError, match=r"of CUDA[01], which is"):
        planned(two, QWEN_32B, devices=("CUDA0", "CUDA1"))


def test_a_split_by_hand_that_no_other_could_save_is_refused() -> None:
    host = with_gpus(gpu(0, 4), gpu(1, 4))
    with pytest.raises(FitError, match=r"of CUDA1, which is"):
        planned(host, QWEN_32B, tensor_split=(1.0, 3.0))


def test_a_draft_that_no_small_cache_can_hold_keeps_f16_and_leaves_fewer_voters() -> None:
    host = with_gpus(gpu(gib=7.25))
    alone = planned(host)
    made = plan(host, QWEN_7B, Wishes(), model_id="sample", beside=Beside(draft=ODD_DRAFT))
    assert (alone.voters, alone.workers[0].cache_type_k) == (5, "q8_0")
    assert (made.voters, made.workers[0].cache_type_k) == (3, "f16")
    assert made.workers[0].gpu_layers == QWEN_7B.layers + 1
    assert made.workers[0].cache_type_v == "f16"


def mig(number: int, gib: float) -> Device:
    name = f"MIG-00000000-0000-0000-0000-00000000000{number}"
    return replace(gpu(number, gib), id=name, uuid=name)


def test_two_mig_instances_have_a_worker_each() -> None:
    instances = mig(0, 20), mig(1, 20)
    made = planned(with_gpus(*instances), ctx=4096)
    assert [worker.devices for worker in made.workers] == [(each.id,) for each in instances]
    assert {worker.tensor_split for worker in made.workers} == {()}


def test_two_mig_instances_never_share_a_worker() -> None:
    instances = mig(0, 20), mig(1, 24)
    for wishes in ({"ctx": 4096}, {"workers": 1}, {"devices": tuple(x.id for x in instances)}):
        made = planned(with_gpus(*instances), QWEN_32B, **wishes)
        assert all(len(worker.devices) == 1 for worker in made.workers), wishes
    (worker,) = planned(with_gpus(mig(0, 14), mig(1, 16)), QWEN_32B, ctx=4096).workers
    assert worker.devices == (instances[1].id,)
    assert 0 < worker.gpu_layers < QWEN_32B.layers


def test_a_worker_on_two_cards_of_which_one_has_no_uuid_is_pinned_by_numbers() -> None:
    nameless = replace(gpu(1), uuid=None)
    (worker,) = planned(with_gpus(gpu(0), nameless), workers=1).workers
    assert (worker.devices, worker.pins) == (("CUDA0", "CUDA1"), ())
    (worker,) = planned(with_gpus(gpu(0), gpu(1)), workers=1).workers
    assert worker.pins == (f"{UUID}0", f"{UUID}1")


def test_cards_with_a_worker_each_are_pinned_each_by_what_it_has() -> None:
    made = planned(with_gpus(gpu(0), replace(gpu(1), uuid=None)))
    assert [worker.pins for worker in made.workers] == [(f"{UUID}0",), ()]


def test_no_devices_by_hand_is_the_cpu_alone() -> None:
    made = planned(with_gpus(gpu()), devices=("cpu",))
    assert made.workers[0].devices == (CPU_DEVICE,)
    assert [row.device for row in made.budget] == ["cpu"]


@pytest.mark.parametrize(("cards", "model"), [((24, 12), QWEN_32B), ((24, 4), QWEN_7B)])
def test_a_split_by_hand_is_kept_or_refused(cards: tuple[int, int], model: Any) -> None:
    machine = with_gpus(*(gpu(n, g) for n, g in enumerate(cards)))
    try:
        made = planned(machine, model, tensor_split=(1.0, 3.0))
    except FitError:
        return
    assert made.workers[0].tensor_split == (1.0, 3.0)


def test_a_split_over_mig_instances_is_refused() -> None:
    with pytest.raises(UsageError):
        planned(with_gpus(mig(0, 20), mig(1, 20)), tensor_split=(1.0, 1.0))


def test_a_split_over_two_backends_is_refused() -> None:
    with pytest.raises(UsageError):
        planned(with_gpus(gpu(0), gpu(0, backend="ROCm")), tensor_split=(1.0, 1.0))

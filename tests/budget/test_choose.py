"""Which of several models is chosen, and what is said of those before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from local_swarm.budget import Beside, Wishes, choose
from local_swarm.budget.fit import MUCH_BETTER
from local_swarm.domain.hardware import Device, HostSnapshot
from local_swarm.domain.memory import GIB
from local_swarm.domain.model import ModelFacts
from local_swarm.domain.plan import CPU_DEVICE, Plan
from local_swarm.domain.projector import Encoder, ProjectorFacts
from local_swarm.errors import FitError, ModelError
from local_swarm.models import Store, catalogue
from local_swarm.models.candidates import by_worth, listed
from tests.budget.samples import QWEN_7B as QWEN_7B_IN_ONE
from tests.budget.samples import dense, machine, spread
from tests.budget.test_by_hand import mig
from tests.budget.test_gpu_plan import QWEN_32B, gpu

QWEN_7B = spread(QWEN_7B_IN_ONE)
QWEN_3B = spread(
    dense(
        "qwen2",
        layers=36,
        embedding=2048,
        heads=16,
        heads_kv=2,
        feed_forward=11008,
        vocab=151936,
        context_train=32768,
        weights=2_100_000_000,
    )
)
TINY = spread(dense(layers=16, embedding=1024, heads=16, heads_kv=4, vocab=49152, weights=10**8))
EXPERTS_20B = spread(
    dense(
        "qwen3moe",
        layers=24,
        embedding=2880,
        heads=64,
        heads_kv=8,
        feed_forward=2880,
        vocab=201088,
        head_length=64,
        weights=12_100_000_000,
        experts_used=4,
    )
)
PROJECTOR = ProjectorFacts(
    "/models/mmproj.gguf",
    None,
    10**7,
    (Encoder("vision", "gemma3", 1152, 4304, 16, 128, 896, 14),),
    (),
)


@dataclass(frozen=True)
class Known:
    """A model under a name; `asked` counts how often its facts were."""

    model_id: str
    model: ModelFacts
    quality: float
    parameters: int = 10**9
    damage: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return self.model.size_bytes

    def facts(self) -> ModelFacts:
        self.asked.append(self.model_id)
        if self.damage:
            raise ModelError(self.damage)
        return self.model


EXPERTS = Known("experts", EXPERTS_20B, 97)
LARGE = Known("large", QWEN_7B, 88)
SMALL = Known("small", QWEN_3B, 84)


def card(number: int = 0, gib: float = 8, backend: str = "CUDA") -> Device:
    size = int(gib * GIB)
    return Device(f"{backend}{number}", None, None, None, backend, size, size, None)


def host(ram_gib: float, *cards: Device) -> HostSnapshot:
    return replace(machine(int(ram_gib * GIB)), devices=cards)


def chosen(where: HostSnapshot, *known: Known, beside: Beside | None = None) -> Plan:
    return choose(where, known, Wishes(), beside=beside)


def test_the_best_that_fits_is_chosen_and_those_before_it_say_what_they_lacked() -> None:
    made = chosen(host(11), EXPERTS, LARGE, SMALL)
    assert made.model_id == "small"
    assert made.workers[0].model_id == "small"
    experts, large = made.rejected
    assert (experts.model, large.model) == ("experts", "large")
    assert experts.why.startswith("It lacks 5.8 GiB: its weights alone take 11.3 GiB")
    assert "of RAM with 3 voters and 16384 tokens of context each" in large.why


def test_the_first_that_fits_has_nothing_to_reject() -> None:
    assert chosen(host(64), EXPERTS, LARGE).rejected == ()


def test_a_model_whose_weights_are_too_large_is_not_even_read() -> None:
    huge = replace(EXPERTS, asked=[])
    chosen(host(12), huge, SMALL)
    assert huge.asked == []


def test_weights_that_only_a_card_can_hold_are_looked_at() -> None:
    assert chosen(host(8, card(gib=24)), EXPERTS, SMALL).model_id == "experts"


def test_where_no_model_fits_it_says_so() -> None:
    with pytest.raises(FitError, match="None of the models known here fits"):
        chosen(host(1), EXPERTS, LARGE, SMALL)
    with pytest.raises(FitError):
        chosen(host(64))


def test_a_damaged_model_is_rejected_with_its_message_and_the_next_is_tried() -> None:
    made = chosen(host(64), replace(LARGE, damage="The file ends too soon."), SMALL)
    assert made.model_id == "small"
    assert [(r.model, r.why) for r in made.rejected] == [("large", "The file ends too soon.")]


def test_a_damaged_model_alone_is_no_fit() -> None:
    with pytest.raises(FitError):
        chosen(host(64), replace(LARGE, damage="The file ends too soon."))


@pytest.mark.parametrize(
    ("arch", "big", "words"),
    [("x86_64", True, "big-endian file.*x86_64"), ("s390x", False, "little-endian file.*s390x")],
)
def test_a_model_of_the_other_byte_order_is_rejected(arch: str, big: bool, words: str) -> None:
    other = replace(LARGE, model=replace(QWEN_7B, big_endian=big))
    same = replace(SMALL, model=replace(QWEN_3B, big_endian=not big))
    made = chosen(replace(host(64), arch=arch), other, same)
    assert made.model_id == "small"
    (rejection,) = made.rejected
    assert rejection.model == "large"
    assert re.search(words, rejection.why)


def test_a_phone_refuses_more_than_three_and_a_half_billion_parameters() -> None:
    phone = replace(host(64), os="android", arch="arm64")
    over = replace(LARGE, parameters=3_600_000_000, asked=[])
    just = replace(SMALL, parameters=3_500_000_000)
    made = chosen(phone, over, just)
    assert made.model_id == "small"
    assert made.rejected[0].why == (
        "It has 3.6 billion parameters, and more than 3.5 are too slow for a phone."
    )
    assert over.asked == []
    assert chosen(host(64), over, just).model_id == "large"


def test_a_much_better_model_with_experts_in_ram_beats_a_small_one_on_the_card() -> None:
    made = chosen(host(32, card(gib=8)), EXPERTS, SMALL)
    (worker,) = made.workers
    assert made.model_id == "experts"
    assert worker.devices == ("CUDA0",)
    assert 0 < worker.cpu_moe_layers < EXPERTS_20B.layers
    assert made.rejected == ()


@pytest.mark.parametrize("better", [9.0, MUCH_BETTER])
def test_a_model_that_is_not_much_better_does_not(better: float) -> None:
    made = chosen(host(32, card(gib=8)), replace(EXPERTS, quality=84 + better), SMALL)
    assert made.model_id == "small"
    assert made.workers[0].gpu_layers == QWEN_3B.layers + 1
    (rejection,) = made.rejected
    assert rejection.model == "experts"
    assert "of CUDA0 with 5 voters" in rejection.why


def test_a_much_better_model_runs_on_the_cpu_beside_a_card_that_holds_a_small_one() -> None:
    made = chosen(host(64, card(gib=2)), EXPERTS, replace(LARGE, model=TINY, quality=30))
    assert made.model_id == "experts"
    assert made.workers[0].devices == (CPU_DEVICE,)
    assert any("a much better model runs on the CPU" in reason for reason in made.reasons)


def test_a_draft_is_priced_while_choosing() -> None:
    where, draft = host(16), Beside(draft=QWEN_3B)
    assert chosen(where, LARGE, SMALL).model_id == "large"
    made = chosen(where, LARGE, SMALL, beside=draft)
    assert made.model_id == "small"
    assert made.workers[0].draft == QWEN_3B.path
    assert {"draft_weights", "draft_kv"} <= {part.kind for part in made.workers[0].parts}
    assert "It lacks" in made.rejected[0].why


def test_a_projector_is_priced_while_choosing() -> None:
    tight = host(11.5)
    assert chosen(tight, LARGE, SMALL).model_id == "large"
    made = chosen(tight, LARGE, SMALL, beside=Beside(projector=PROJECTOR))
    assert made.model_id == "small"
    assert made.workers[0].mmproj == PROJECTOR.path
    assert "mmproj_compute" in {part.kind for part in made.workers[0].parts}


FOUR = (EXPERTS, replace(LARGE, quality=80), replace(SMALL, quality=60), Known("tiny", TINY, 30))


def quality(where: HostSnapshot) -> float | None:
    try:
        made = chosen(where, *FOUR)
    except FitError:
        return None
    return next(each.quality for each in FOUR if each.model_id == made.model_id)


@pytest.mark.parametrize("ram_gib", [2, 3, 4, 6, 8, 12, 16, 20, 24, 26, 28, 32, 64])
def test_a_card_of_one_gigabyte_does_not_make_the_choice_much_worse(ram_gib: int) -> None:
    without, beside = quality(host(ram_gib)), quality(host(ram_gib, card(gib=1)))
    assert without is not None
    assert beside is not None
    assert beside >= without - MUCH_BETTER


cards = st.tuples(st.sampled_from([0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24]), st.sampled_from("CCR"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48]),
    st.lists(cards, max_size=3),
    st.none() | st.tuples(st.integers(0, 3), cards),
    st.integers(0, 32),
)
def test_more_memory_or_another_card_never_makes_the_choice_much_worse(
    ram_gib: int,
    given_cards: list[tuple[float, str]],
    another: tuple[int, tuple[float, str]] | None,
    more_gib: int,
) -> None:
    def of(ram: int, sizes: list[tuple[float, str]]) -> HostSnapshot:
        names = {"C": "CUDA", "R": "ROCm"}
        return host(ram, *(card(n, gib, names[name]) for n, (gib, name) in enumerate(sizes)))

    before = quality(of(ram_gib, given_cards))
    assume(before is not None)
    richer = list(given_cards)
    if another:
        richer.insert(another[0], another[1])
    after = quality(of(ram_gib + more_gib, richer))
    assert after is not None
    assert before is not None
    assert after >= before - MUCH_BETTER


def test_a_model_that_fits_is_passed_over_for_a_later_much_better_one() -> None:
    made = chosen(host(32, card(gib=8)), replace(SMALL, quality=40), replace(EXPERTS, quality=67))
    assert made.model_id == "experts"


def test_a_later_model_of_few_bits_may_be_much_better_than_one_that_fits(tmp_path: Path) -> None:
    names = ("llama3.2:1b:q4_k_m", "qwen2.5-coder:32b:q2_k")
    two = [c for c in by_worth(catalogue.load()) if c.name in names]
    made = choose(host(64, card(gib=8)), listed(Store(tmp_path), two), Wishes())
    assert made.model_id == names[1]
    assert made.rejected[0].why == f"It fits, but {names[1]} is much better."


BIG = Known("32b", QWEN_32B, 90)


def test_a_small_card_beside_a_large_integrated_device() -> None:
    big = gpu(0, 112, backend="ROCm", integrated=True)
    assert chosen(host(32, big), BIG, replace(SMALL, quality=60)).model_id == "32b"
    assert chosen(host(32, big, gpu(0, 1)), BIG, replace(SMALL, quality=60)).model_id == "32b"


def test_a_small_card_beside_a_large_mig_instance() -> None:
    assert chosen(host(12, mig(0, 20)), BIG, replace(SMALL, quality=60)).model_id == "32b"
    assert (
        chosen(host(12, mig(0, 20), gpu(1, 1)), BIG, replace(SMALL, quality=60)).model_id == "32b"
    )

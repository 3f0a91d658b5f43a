"""The order in which models are tried."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from local_swarm.models import Store, catalogue
from local_swarm.models.candidates import FEW_BITS, GOOD_BITS, by_worth, listed
from local_swarm.models.entries import Choice, Entry, File, bits_per_weight


def entries() -> tuple[Entry, Entry]:
    """A better model and a worse one, each in many bits and in few."""
    first = next(iter(catalogue.load()))
    files = tuple(File(quant, f"{quant}.gguf", 10**9) for quant in ("Q8_0", "Q4_0", "Q3_K_M"))
    better = replace(first, family="better", size="1b", quality=90.0, files=files)
    return better, replace(better, family="worse", quality=50.0)


def named(choices: list[Choice]) -> list[str]:
    return [choice.name for choice in choices]


def test_files_of_few_bits_come_after_those_of_all_other_models() -> None:
    assert named(by_worth(entries())) == [
        "better:1b:q8_0",
        "better:1b:q4_0",
        "worse:1b:q8_0",
        "worse:1b:q4_0",
        "better:1b:q3_k_m",
        "worse:1b:q3_k_m",
    ]


def test_files_of_few_bits_are_worth_less(tmp_path: Path) -> None:
    found = {each.model_id: each.quality for each in listed(Store(tmp_path), by_worth(entries()))}
    assert found["better:1b:q8_0"] == found["better:1b:q4_0"] == 90
    assert found["better:1b:q3_k_m"] == 90 - FEW_BITS
    assert found["worse:1b:q3_k_m"] == 50 - FEW_BITS


def test_the_catalogue_goes_from_its_best_model_to_its_worst() -> None:
    choices = by_worth(catalogue.load())
    good = [choice for choice in choices if bits_per_weight(choice.file) >= GOOD_BITS]
    assert choices[: len(good)] == good
    assert 0 < len(good) < len(choices)
    qualities = [choice.entry.quality for choice in good]
    assert qualities == sorted(qualities, reverse=True)

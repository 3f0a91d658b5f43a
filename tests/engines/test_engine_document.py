"""docs/engines.md says what the engines are and what a user may pass to them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local_swarm.domain.launch import Capabilities
from local_swarm.engines import ENGINES, extra_args
from local_swarm.engines.xllamacpp_flags import FLAGS
from local_swarm.errors import UsageError

TEXT = (Path(__file__).parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")


def flags_of(heading: str) -> set[str]:
    """Every flag in code quotes under a heading."""
    part = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    quoted = re.findall(r"`(-[^`]+)`", part)
    return {word for words in quoted for word in words.split() if word.startswith("-")}


def is_open(flag: str) -> bool:
    try:
        extra_args.check([flag])
    except UsageError:
        return False
    return True


OPEN = flags_of("What may follow `--`")
REFUSED = flags_of("What is refused, and why")


def test_every_flag_of_the_runner_is_in_the_document() -> None:
    assert set(FLAGS) - OPEN - REFUSED == set()


def test_the_document_lists_as_open_exactly_what_a_user_may_say() -> None:
    assert {flag for flag in FLAGS if is_open(flag)} == OPEN


def test_every_flag_with_an_owner_is_in_the_document() -> None:
    assert set(extra_args.OWNERS) - REFUSED == set()


@pytest.mark.parametrize("flag", sorted(REFUSED))
def test_what_the_document_calls_refused_is(flag: str) -> None:
    assert not is_open(flag.replace("*", "x"))


def test_engines_and_capabilities_are_named() -> None:
    for name in (*ENGINES, *Capabilities.__slots__):
        assert f"`{name}`" in TEXT

"""How much a request may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.errors import InvalidRequest
from local_swarm.wire.limits import COMPILED, TOKENS, Limits

LIMITS = Limits(tokens=100, schema_bytes=50)


@pytest.mark.parametrize("key", TOKENS)
@pytest.mark.parametrize("value", [None, 0, 1, 100, -1, -2, 100.0])
def test_so_many_tokens_may_be_asked_for(key: str, value: Any) -> None:
    LIMITS.check({key: value}, 10)


@pytest.mark.parametrize("key", TOKENS)
@pytest.mark.parametrize("value", [101, -3, 1e300, 2**70, "5", True, [], {}])
def test_any_other_number_of_tokens_is_refused(key: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        LIMITS.check({key: value}, 10)
    assert refused.value.param == key


@pytest.mark.parametrize("key", COMPILED)
def test_what_is_compiled_is_bounded(key: str) -> None:
    LIMITS.check({key: "x" * 40, "messages": "y" * 1000}, 1100)
    with pytest.raises(InvalidRequest) as refused:
        LIMITS.check({key: {"deep": ["x" * 60]}}, 100)
    assert refused.value.param == key


@pytest.mark.parametrize("body", [None, [], "text", 5])
def test_what_is_no_object_is_for_others_to_judge(body: Any) -> None:
    LIMITS.check(body, 10**9)

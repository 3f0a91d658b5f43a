"""Whatever a child writes, what is read of it is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_swarm.sandbox.inside.results import LIMIT, RAISED, VALUE, Reader, packed

MOST_CHARS = 50
records = st.lists(st.tuples(st.sampled_from([VALUE, RAISED, LIMIT]), st.text(max_size=MOST_CHARS)))


@given(records, st.integers(1, 40))
def test_records_come_out_as_they_went_in_however_they_are_cut(
    given_: list[tuple[str, str]], step: int
) -> None:
    data = b"".join(packed(*record) for record in given_)
    reader = Reader(MOST_CHARS)
    found = [
        record for at in range(0, len(data), step) for record in reader.feed(data[at : at + step])
    ]
    sent = [(ended, text.encode("utf-8", "replace").decode()) for ended, text in given_]
    assert found == sent
    assert not reader.is_forged


@given(st.lists(st.binary(max_size=200)))
def test_forged_bytes_give_short_texts_or_nothing(parts: list[bytes]) -> None:
    reader = Reader(MOST_CHARS)
    for part in parts:
        for ended, text in reader.feed(part):
            assert ended in (VALUE, RAISED, LIMIT)
            assert len(text) <= MOST_CHARS


def test_what_came_before_a_forgery_counts_and_nothing_after_it() -> None:
    reader = Reader(MOST_CHARS)
    assert reader.feed(packed(VALUE, "1") + b"\xff" * 5 + packed(VALUE, "2")) == [(VALUE, "1")]
    assert reader.is_forged
    assert reader.feed(packed(VALUE, "3")) == []

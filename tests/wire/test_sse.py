from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.wire import sse

EVENTS = st.lists(st.binary(min_size=1, max_size=40).filter(lambda d: not set(d) & {10, 13}))


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_any_split_of_the_bytes_gives_the_same_events(
    events: list[bytes], end: bytes, data: st.DataObject
) -> None:
    raw = b"".join(b": ping" + end + end + b"data: " + e + end + end for e in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    decoder = sse.SSEDecoder()
    got = []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += list(decoder.feed(raw[start:stop]))
    assert got == events


@given(EVENTS, st.data())
def test_events_without_anything_between_come_out_as_they_went_in(
    events: list[bytes], data: st.DataObject
) -> None:
    raw = sse.encode_events(events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=3)))
    decoder = sse.SSEDecoder()
    got = []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        got += decoder.feed(raw[start:stop])
    assert got == events


@given(st.lists(st.sampled_from([b"data: a", b"data:b", b"", b": c", b"data: "]), max_size=8))
def test_events_cut_apart_at_once_are_those_read_line_by_line(lines: list[bytes]) -> None:
    raw = b"".join(line + b"\n" for line in lines)
    slowly = sse.SSEDecoder()
    one_by_one = [event for line in lines for event in slowly.feed(line + b"\n")]
    assert sse.SSEDecoder().feed(raw) == one_by_one


def test_several_data_lines_are_one_event_and_other_fields_are_passed_over() -> None:
    raw = b"event: x\nid: 1\ndata:a\ndata: b\n\n"
    assert list(sse.SSEDecoder().feed(raw)) == [b"a\nb"]


def test_an_unfinished_event_is_never_yielded() -> None:
    assert list(sse.SSEDecoder().feed(b"data: half\n")) == []


def test_what_is_encoded_is_decoded() -> None:
    assert list(sse.SSEDecoder().feed(sse.encode_event(b"{}") + sse.PING)) == [b"{}"]


def test_an_event_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    decoder = sse.SSEDecoder()
    list(decoder.feed(b"data: 0123456789\n" * 10))
    with pytest.raises(sse.EventTooLarge):
        list(decoder.feed(b"data: 0123456789\n"))

"""Equal values have equal texts, and no value is too much."""

from __future__ import annotations

import ast
import collections
import datetime
import enum
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.sandbox.inside.canonical import MOST_CHARS, TooMuch, canonical

PLENTY = MOST_CHARS

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()
)
keys = st.one_of(st.integers(), st.text(), st.tuples(st.integers(), st.text()))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(keys, inner),
        st.sets(keys),
    ),
    max_leaves=20,
)


class Colour(enum.Enum):
    RED = 1


class Size(enum.IntEnum):
    BIG = 3


class Text(str):
    def __repr__(self) -> str:
        raise AssertionError("its own code")


class Point(collections.namedtuple("Point", "x y")):
    pass


@given(values)
def test_a_text_of_plain_values_is_python(value: object) -> None:
    text = canonical(value, PLENTY)
    if "inf" not in text and "set()" not in text:
        assert ast.literal_eval(text) == value


@given(st.dictionaries(keys, scalars), st.randoms())
def test_the_order_of_items_does_not_matter(value: dict[object, object], chance) -> None:  # type: ignore[no-untyped-def]
    items = list(value.items())
    chance.shuffle(items)
    assert canonical(dict(items), PLENTY) == canonical(value, PLENTY)
    members = list(value)
    chance.shuffle(members)
    assert canonical(set(members), PLENTY) == canonical(frozenset(value), PLENTY)


@given(values, values)
def test_values_that_differ_in_type_or_content_differ_in_text(one: object, other: object) -> None:
    if one != other:
        assert canonical(one, PLENTY) != canonical(other, PLENTY)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0.0"),
        (True, "True"),
        (1, "1"),
        (1.0, "1.0"),
        (1e100, "1e+100"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (complex(-0.0, 2), "2j"),
        ((1,), "(1,)"),
        ((), "()"),
        (set(), "set()"),
        (frozenset({2, 1}), "{1, 2}"),
        (bytearray(b"a"), "b'a'"),
        ({2: "b", 1: "a"}, "{1: 'a', 2: 'b'}"),
        ({"a": 1}.keys(), "{'a'}"),
        ({"a": 1}.values(), "<dict_values>"),
        (collections.Counter("aab"), "{'a': 2, 'b': 1}"),
        (collections.OrderedDict(b=1, a=2), "{'a': 2, 'b': 1}"),
        (collections.defaultdict(list, a=[1]), "{'a': [1]}"),
        (collections.deque([1, 2], maxlen=3), "deque([1, 2])"),
        (Point(1, 2), "(1, 2)"),
        (Size.BIG, "3"),
        (Colour.RED, "<Colour.RED>"),
        (Text("a'b"), '"a\'b"'),
        (range(5), "range(0, 5)"),
        (range(0, 9, 4), "range(0, 9, 4)"),
        (range(0, 12, 4), "range(0, 9, 4)"),
        (range(3, 3), "range(0, 0)"),
        (range(9, 10, 5), "range(9, 10)"),
        (range(9, 0, -4), "range(9, 0, -4)"),
        (Decimal("1.00"), "Decimal('1E0')"),
        (Decimal("-120"), "Decimal('-12E1')"),
        (Decimal("0E+7"), "Decimal('0')"),
        (Decimal("NaN"), "Decimal('NaN')"),
        (Fraction(2, 4), "Fraction(1, 2)"),
        (datetime.date(2020, 1, 2), "datetime.date(2020, 1, 2)"),
        (datetime.timedelta(1), "datetime.timedelta(days=1)"),
        (1 << 4096, hex(1 << 4096)),
        (-(1 << 4096), hex(-(1 << 4096))),
        ((x for x in "ab"), "<generator>"),
        (iter([1]), "<list_iterator>"),
        (map(str, [1]), "<map>"),
        (len, "<builtin_function_or_method>"),
        (object(), "<object>"),
        (int, "<type>"),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_text_of(value: object, text: str) -> None:
    assert canonical(value, PLENTY) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (range(0, 12, 4), range(0, 9, 4)),
        (Decimal("1.10"), Decimal("1.1")),
        (collections.Counter("ab"), {"b": 1, "a": 1}),
        ({1, 2}, {2: 0, 1: 0}.keys()),
    ],
)
def test_equal_values_have_equal_texts(one: object, other: object) -> None:
    assert one == other
    assert canonical(one, PLENTY) == canonical(other, PLENTY)


@pytest.mark.parametrize(
    "value",
    [
        "x" * (MOST_CHARS + 1),
        b"x" * (MOST_CHARS + 1),
        [None] * MOST_CHARS,
        1 << (5 * MOST_CHARS),
        ["x" * 1000] * 300,
    ],
    ids=["text", "bytes", "list", "number", "texts"],
)
def test_a_large_value_is_not_written(value: object) -> None:
    with pytest.raises(TooMuch):
        canonical(value, 4096)


def test_a_deep_value_is_not_written() -> None:
    deep: list[object] = []
    deep.append(deep)
    with pytest.raises(TooMuch):
        canonical(deep, 4096)


def test_a_long_text_is_shortened_and_still_its_own() -> None:
    texts = {canonical("x" * 5000 + end, 4096) for end in "abc"}
    assert len(texts) == 3
    assert {len(text) for text in texts} == {4096}
    assert all(text.startswith("'xxx") for text in texts)

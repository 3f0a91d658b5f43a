"""Realistic small Python functions for property tests: right, wrong, faulty, broken."""

from __future__ import annotations

from hypothesis import strategies as st

from local_swarm.domain.candidate import Candidate

PROMPT = (
    "from typing import List\n\n\ndef pick(xs: List[int], k: int) -> List[int]:\n"
    '    """Return the elements of xs greater than k, sorted in descending order.\n'
    '    >>> pick([3, 1, 2], 1)\n    [3, 2]\n    """\n'
)

_ATOMS = st.sampled_from(["xs", "k", "x", "n", "0", "1", "len(xs)", "xs[0]", "[]", "ys", "None"])
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*%<>"), inner),
        st.builds("sorted({})".format, inner),
        st.builds("[x for x in {} if x > {}]".format, inner, inner),
        st.builds("sorted({}, reverse=True)".format, inner),
        st.builds("max({})".format, inner),
    ),
    max_leaves=4,
)


def _indented(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.split("\n"))


_STATEMENTS = st.recursive(
    st.one_of(
        st.builds("{} = {}".format, st.sampled_from(["x", "ys", "n"]), _EXPRESSIONS),
        st.builds("ys.append({})".format, _EXPRESSIONS),
        st.builds("return {}".format, _EXPRESSIONS),
        st.sampled_from(["pass", "return", "ys.sort(reverse=True)", "n += 1", "print(xs)"]),
    ),
    lambda inner: st.one_of(
        st.builds("{}\n{}".format, inner, inner),
        st.builds(
            "for x in {}:\n{}".format, st.sampled_from(["xs", "range(k)"]), inner.map(_indented)
        ),
        st.builds("if {}:\n{}".format, _EXPRESSIONS, inner.map(_indented)),
        st.builds("while {}:\n{}".format, _EXPRESSIONS, inner.map(_indented)),
    ),
    max_leaves=5,
)
_RIGHT = [
    "return sorted([x for x in xs if x > k], reverse=True)",
    "return sorted((y for y in xs if y > k), reverse=True)",
    "ys = []\nfor x in xs:\n    if x > k:\n        ys.append(x)\nys.sort(reverse=True)\nreturn ys",
]
_BODIES = st.one_of(
    st.sampled_from(_RIGHT),
    _STATEMENTS,
    st.builds("ys = []\n{}\nreturn ys".format, _STATEMENTS),
)
_SOURCES = st.one_of(
    _BODIES.map(lambda body: f"def pick(xs, k):\n{_indented(body)}"),
    _BODIES.map(lambda body: f"def other(xs):\n{_indented(body)}"),
    _BODIES.map(_indented),
    _BODIES.map(lambda body: f"def pick(xs, k:\n{_indented(body)}"),
)
_SPELLINGS = st.sampled_from(["{}", "```python\n{}\n```", "Sure:\n\n```\n{}\n```\nDone."])
_LOGPROBS = st.one_of(st.none(), st.floats(-4, 0))

programs = st.builds(
    lambda source, spelling, model, mean, lowest: Candidate(
        spelling.format(source), model=model, mean_logprob=mean, lowest_logprob=lowest
    ),
    _SOURCES,
    _SPELLINGS,
    st.sampled_from(["", "small", "large"]),
    _LOGPROBS,
    _LOGPROBS,
)

"""How long it takes to compare answers: alone, and through the gateway's helper process."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bench.figures import Report, Row, median, ms, quantile
from local_swarm import consensus
from local_swarm.domain.candidate import Candidate
from local_swarm.gateway.ballots import VoteProcess

TIMES = 40
PROMPT = "Write a function `merge(left, right)` that merges two sorted lists."
FUNCTION = '''Here is the function:

```python
def merge({a}, {b}):
    """Merge two sorted lists into one sorted list."""
    result = []
    i = j = 0
    while i < len({a}) and j < len({b}):
        if {a}[i] {less} {b}[j]:
            result.append({a}[i])
            i += 1
        else:
            result.append({b}[j])
            j += 1
    result.extend({a}[i:])
    result.extend({b}[j:])
    return result
```

It runs in linear time.{more}
'''
NAMES = (("left", "right"), ("first", "second"), ("xs", "ys"), ("a", "b"))


def differing(count: int) -> list[Candidate]:
    """No two are the same text; renamed, they are two kinds of code."""
    texts = [
        FUNCTION.format(a=a, b=b, less="<=" if i % 3 else "<", more=" " + "Yes. " * i)
        for i in range(count)
        for a, b in [NAMES[i % len(NAMES)]]
    ]
    return [Candidate(text=text, worker="w0") for text in texts]


def alike(count: int) -> list[Candidate]:
    return [differing(1)[0]] * count


def talk(count: int) -> list[Candidate]:
    words = ("It depends on the order of the two lists and on what is meant by equal. ",)
    return [Candidate(text=words[0] * 8 + "So " * (i + 1), worker="w0") for i in range(count)]


KINDS = {"the same code": alike, "differing code": differing, "differing talk": talk}


async def run() -> list[Report]:
    rows: list[Row] = []
    async with VoteProcess() as helper:
        await helper.vote(PROMPT, differing(4), "auto")
        for kind, make in KINDS.items():
            for count in (4, 8):
                candidates = make(count)
                alone = [_here(candidates) for _ in range(TIMES)]
                through = [await _there(helper, candidates) for _ in range(TIMES)]
                rows.append(
                    {
                        "answers": f"{count}, {kind}",
                        "vote p50 ms": ms(median(alone)),
                        "vote p95 ms": ms(quantile(alone, 0.95)),
                        "helper p50 ms": ms(median(through)),
                        "helper p95 ms": ms(quantile(through, 0.95)),
                        "helper adds ms": ms(median(through) - median(alone)),
                    }
                )
    return [Report("Comparing answers (strategy auto)", rows, {"times each": TIMES})]


def _here(candidates: Sequence[Candidate]) -> float:
    started = time.perf_counter()
    consensus.vote(PROMPT, candidates, strategy="auto")
    return time.perf_counter() - started


async def _there(helper: VoteProcess, candidates: Sequence[Candidate]) -> float:
    started = time.perf_counter()
    await helper.vote(PROMPT, candidates, "auto")
    return time.perf_counter() - started

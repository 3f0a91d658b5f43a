"""What it costs to ask through the gateway: against no proxy, a bare one and litellm's.

One client asks all of them in turn, so that what else the machine does hits all alike; then each
gets requests at stated rates, in short turns. What is added is the median of the differences to
the direct request of the same turn.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp

from bench.figures import Report, Row, median, ms, quantile, ratio
from bench.load import Samples, Target, ask, client, first_token, open_loop, question
from bench.servers import LITELLM_KEY, litellm_proxy, upstream_and_proxies

WARM_UP = 5
TURNS = 70
STREAM_TURNS = 40
RATES = {20: (2, 1.5), 50: (2, 1.5), 100: (4, 1.5)}
"""Requests a second: (turns, seconds of each)."""
DIRECT, BARE, LITELLM = "direct", "bare aiohttp proxy", "litellm"
SOLO, LEADER, VOTED = "gateway, solo", "gateway, leader stream", "gateway, vote of 3"
BARE_STREAM = f"{BARE}, stream"
QUANTILES = (0.5, 0.95, 0.99)
LEGEND = {
    "+bare": "milliseconds over the bare proxy",
    "x": "what is added to the direct request, over what the bare proxy adds",
}
LEADER_WISH = {"swarm": {"stream": "leader"}}
STREAMED = {"stream": True, "max_tokens": 8, "user": "pause=0.002"}


async def run(litellm: Path | None) -> list[Report]:
    async with (
        upstream_and_proxies() as (upstream, bare, gateway),
        litellm_proxy(litellm, upstream) as other,
        client() as session,
    ):
        plain = question()
        targets = [
            Target(DIRECT, upstream.url, plain),
            Target(BARE, bare.url, plain),
            Target(SOLO, gateway.url, question(model="bench:solo")),
            Target(VOTED, gateway.url, plain),
        ]
        streams = [
            Target(DIRECT, upstream.url, question(**STREAMED)),
            Target(BARE, bare.url, question(**STREAMED)),
            Target(SOLO, gateway.url, question(**{**STREAMED, "model": "bench:solo"})),
            Target(LEADER, gateway.url, question(**STREAMED, **LEADER_WISH)),
        ]
        if other is not None:
            targets.append(Target(LITELLM, other.url, plain, LITELLM_KEY))
            streams.append(Target(LITELLM, other.url, question(**STREAMED), LITELLM_KEY))
        await _warm_up(session, [*targets, *streams])
        reports = [await _one_client(session, targets), await _first_token(session, streams)]
        leader = next(t for t in streams if t.name == LEADER)
        base = replace(next(t for t in streams if t.name == BARE), name=BARE_STREAM)
        reports.extend(await _open(session, [*targets, base, leader]))
        return reports


async def _warm_up(session: aiohttp.ClientSession, targets: Sequence[Target]) -> None:
    for target in targets:
        for _ in range(WARM_UP):
            await ask(session, target)


async def _one_client(session: aiohttp.ClientSession, targets: Sequence[Target]) -> Report:
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(TURNS):
        for target in _shuffled(targets):
            took[target.name].append(await ask(session, target))
    return _added("One client, plain answers after 50 ms: milliseconds", took)


async def _first_token(session: aiohttp.ClientSession, targets: Sequence[Target]) -> Report:
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(STREAM_TURNS):
        for target in _shuffled(targets):
            took[target.name].append(await first_token(session, target))
    return _added("One client, streamed: milliseconds to the first token", took)


def _shuffled(targets: Sequence[Target]) -> list[Target]:
    return random.sample(list(targets), len(targets))


def _added(title: str, took: dict[str, list[float]]) -> Report:
    added = {name: _differences(values, took[DIRECT]) for name, values in took.items()}
    rows: list[Row] = [
        {
            "through": name,
            "p50": ms(median(took[name])),
            "added p10": ms(quantile(added[name], 0.1)),
            "added p50": ms(median(added[name])),
            "added p95": ms(quantile(added[name], 0.95)),
            "x bare": ratio(median(added[name]), median(added[BARE])),
        }
        for name in (DIRECT, BARE, SOLO, LEADER, VOTED, LITELLM)
        if name in took
    ]
    notes: dict[str, float | int | str | None] = {"turns": len(took[DIRECT])}
    ours = LEADER if LEADER in added else SOLO
    notes[f"{ours}, over the bare proxy (ms)"] = ms(median(_differences(took[ours], took[BARE])))
    if LITELLM in added:
        less = ratio(median(added[LITELLM]), median(added[ours]))
        notes["litellm adds so many times what we add"] = less
    return Report(title, rows, notes)


def _differences(values: Sequence[float], base: Sequence[float]) -> list[float]:
    return [value - other for value, other in zip(values, base, strict=True)]


async def _open(session: aiohttp.ClientSession, targets: Sequence[Target]) -> list[Report]:
    reports = []
    for rate, (turns, for_s) in RATES.items():
        samples: dict[str, list[Samples]] = defaultdict(list)
        for _ in range(turns):
            for target in _shuffled(targets):
                turn = await open_loop(session, target, rate=rate, for_s=for_s)
                samples[target.name].append(turn)
        rows = [_open_row(t.name, samples) for t in targets]
        title = f"Open loop, {rate} requests/s, {turns} turns of {for_s:g} s: milliseconds"
        reports.append(Report(title, rows, LEGEND))
    return reports


def _open_row(name: str, samples: dict[str, list[Samples]]) -> Row:
    """A streamed answer takes longer by its pauses: it is compared with the bare proxy's stream."""
    took = {q: _typical(samples[name], q) for q in QUANTILES}
    base = {q: _typical(samples[BARE_STREAM if "stream" in name else BARE], q) for q in QUANTILES}
    direct = {q: _typical(samples[DIRECT], q) for q in QUANTILES}
    row: Row = {"through": name, **{f"p{100 * q:.0f}": ms(took[q]) for q in QUANTILES}}
    row |= {f"p{100 * q:.0f} +bare": ms(took[q] - base[q]) for q in QUANTILES}
    if "stream" not in name and name != DIRECT:
        added = {q: ratio(took[q] - direct[q], base[q] - direct[q]) for q in QUANTILES}
        row |= {f"p{100 * q:.0f} x": added[q] for q in QUANTILES}
    row["failed"] = sum(s.failed for s in samples[name])
    return row


def _typical(turns: Sequence[Samples], q: float) -> float:
    """The quantile of a turn that is in the middle: one turn that others disturbed says nothing."""
    return median([quantile(turn.took_s, q) for turn in turns])

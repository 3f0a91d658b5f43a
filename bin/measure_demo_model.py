#!/usr/bin/env python3
"""Measure the builtin model through the real engine, and write its card.

Run from the repository root:  PYTHONPATH=. python bin/measure_demo_model.py MODEL.gguf
Needs xllamacpp. Asks held-out tasks over /v1/chat/completions with the engine's default samplers,
runs every answer's tests, and votes: plurality of equal syntax trees, ties by likeness. With
`--card`, writes the Markdown card from these figures and the JSON file the training left.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import os
import re
import socket
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_swarm.evals.check import run_tests
from local_swarm.evals.stats import paired_bootstrap, wilson
from local_swarm.evals.tasks import Task, held_out

SAMPLES = 8
VOTES = (3, 5, 8)


def start(model: Path, slots: int) -> tuple[Any, str]:
    """A running engine (kept alive by the first value) and its base URL."""
    import xllamacpp as xlc

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    p = xlc.CommonParams()
    p.model.path, p.hostnames, p.port = str(model), ["127.0.0.1"], port
    p.n_parallel, p.n_ctx = slots, 1024 * slots
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    p.warmup = False
    return xlc.Server(p), f"http://127.0.0.1:{port}"


def ask(base: str, task: Task, count: int, temperature: float) -> list[str]:
    """`count` answers to one task, in the engine's order."""
    body = {
        "messages": [{"role": "user", "content": task.prompt}],
        "temperature": temperature, "n": count, "max_tokens": 256, "seed": 1,
    }  # fmt: skip
    request = urllib.request.Request(
        f"{base}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=300) as reply:
        choices = json.load(reply)["choices"]
    return [choice["message"]["content"] or "" for choice in choices]


def code_of(answer: str) -> str:
    """What is inside the first fence, or the whole answer."""
    found = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", answer, re.DOTALL)
    return found.group(1) if found else answer


def normal(source: str) -> str | None:
    """The source's syntax tree as text, without formatting; None where it does not parse."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return None


def vote(sources: list[str]) -> int:
    """Index of the answer with most equals; among equals in number, the one most like all."""
    forms = [normal(source) for source in sources]
    counts = Counter(form for form in forms if form is not None)

    def likeness(index: int) -> float:
        ratios = (difflib.SequenceMatcher(None, sources[index], s).ratio() for s in sources)
        return sum(ratios)

    def support(index: int) -> int:
        form = forms[index]
        return counts[form] if form is not None else 0

    best = max(support(i) for i in range(len(sources)))
    tied = [i for i in range(len(sources)) if support(i) == best]
    groups = {forms[i] for i in tied}
    return tied[0] if len(groups) == 1 else max(tied, key=likeness)


def measure(model: Path, seed: int, count: int, temperature: float) -> dict[str, Any]:
    """Figures over `count` held-out tasks: (passes, of how many) by name, and every task's row."""
    tasks = held_out(seed, count)
    server, base = start(model, SAMPLES)
    rows: list[dict[str, Any]] = []
    with ThreadPoolExecutor(2, thread_name_prefix="tests") as pool:
        for task in tasks:
            sources = [code_of(a) for a in ask(base, task, SAMPLES, temperature)]
            unique = list(dict.fromkeys(sources))
            results = pool.map(lambda s, t=task: run_tests(s, t.tests).passed, unique)
            passed = dict(zip(unique, results, strict=True))
            row = {"task": task.task_id, "passed": [passed[s] for s in sources], "sources": sources}
            row |= {f"vote{k}": passed[sources[vote(sources[:k])]] for k in VOTES}
            rows.append(row)
    del server
    return summarise(rows)


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure as (rate, low, high), 95%, and the rows it comes from."""
    single = [sum(row["passed"]) / len(row["passed"]) for row in rows]
    # Samples of one task are not independent: resample tasks, not samples.
    figures = {"one sample": paired_bootstrap([0.0] * len(rows), single, seed=1)}
    for size in VOTES:
        passes = sum(row[f"vote{size}"] for row in rows)
        figures[f"vote of {size}"] = (passes / len(rows), *wilson(passes, len(rows)))
    passes = sum(any(row["passed"]) for row in rows)
    figures[f"best possible pick of {SAMPLES}"] = (passes / len(rows), *wilson(passes, len(rows)))
    voted = [float(row["vote5"]) for row in rows]
    figures["vote of 5 less one sample"] = paired_bootstrap(single, voted, seed=1)
    return {"figures": figures, "rows": rows}


def card(facts: dict[str, Any], figures: dict[str, Any], args: argparse.Namespace) -> str:
    """The Markdown card; `facts` is what bin/train_demo_model.py wrote next to the model."""
    recipe = " ".join(f"--{k.replace('_', '-')} {v}" for k, v in facts["recipe"].items())
    lines = [f"| {name} | {r:.1%} | {a:.1%} to {b:.1%} |" for name, (r, a, b) in figures.items()]
    return CARD.format(**facts, command=recipe, table="\n".join(lines), args=args)


CARD = """\
# Local Swarm demo

This model shows the path from a question to a voted answer. It does **not** show coding ability:
it knows only the synthetic tasks of `local_swarm.evals.tasks` (a sentence that names a small
Python function and its steps). Anything else it is asked, it answers with some function of that
kind. It also errs by design, so that a vote has something to do: from step {recipe[slips_from]} of
{recipe[steps]} on, each operator and constant in the training answers was swapped for its neighbour
(`>` for `>=`, 4 for 5) with a chance of {recipe[slips]}. A vote on it is therefore easier than a
vote on a real model, whose errors agree more often; do not read its gain as the gain to expect.

- architecture: llama, {layers} layers, width {width}, {heads} heads ({kv_heads} for keys and
  values), SwiGLU {hidden}, {parameters} parameters, {vocab} tokens (byte-level BPE)
- file: {size_bytes} bytes, matrices q8_0, norms f32
- licence: MIT; trained from nothing, only on text our own generator wrote

sha256: {sha256}

## How it was made

    PYTHONPATH=. python bin/train_demo_model.py {command}

One thread, seed {recipe[seed]}, torch {torch}. Data: {tasks} generated tasks, {tokens} tokens,
{answer_tokens} of them in answers (only these count in the loss); hardly a task was seen twice.
Final training loss: {final_loss} nats per answer token (running mean, on answers with slips; just
before the slips began it was 0.028). The run was made in three parts with `--resume`, at the steps
where the data stream starts anew, so that one run should give the same file; that was not repeated.

## What it does

{args.count} held-out tasks (`held_out({args.seed}, {args.count})`: combinations of steps and
constants that never occur in training), {samples} samples each, temperature {args.temperature},
llama-server's default samplers (top_k 40, top_p 0.95, min_p 0.05), through the real engine
(xllamacpp, `/v1/chat/completions` with `n`). An answer is right when the task's tests pass. A vote
takes the answer with the most equal syntax trees, ties by likeness. Intervals are 95%: Wilson's
for votes, bootstrap over tasks for the mean of single samples and for the difference.

| | right | 95% interval |
|---|---|---|
{table}

    PYTHONPATH=. python bin/measure_demo_model.py local_swarm/assets/demo.gguf --count {args.count}
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the builtin model on held-out tasks.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=400, help="held-out tasks")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--rows", type=Path, help="write every task's answers here as JSON")
    parser.add_argument("--card", type=Path, help="write the model's card here")
    args = parser.parse_args()
    result = measure(args.model, args.seed, args.count, args.temperature)
    for name, (rate, low, high) in result["figures"].items():
        print(f"{name}: {rate:.3f} ({low:.3f} to {high:.3f})")
    if args.rows:
        args.rows.write_text(json.dumps(result["rows"]))
    if args.card:
        facts = json.loads(args.model.with_suffix(".json").read_text())
        facts["samples"] = SAMPLES
        args.card.write_text(card(facts, result["figures"], args))
    os._exit(0)  # the engine's own threads do not end with the interpreter


if __name__ == "__main__":
    main()

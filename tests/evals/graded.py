"""Sampled answers that were graded, made up."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SOURCES = ("small", "middle", "large")


def line(task: int, source: str, samples: int = 10) -> dict[str, Any]:
    """A problem of a source; the larger it is, the more of its answers are right."""
    rng = random.Random(f"{task} {source}")
    prompt = f'def add_{task}(a, b):\n    """Give a plus b plus {task}."""\n'
    answers = []
    for _ in range(samples):
        right = rng.random() < 0.3 + 0.2 * SOURCES.index(source)
        wrong = rng.choice(["a - b", f"a + b - {task}", "b", "None"])
        result = f"a + b + {task}" if right else wrong
        text = f"def add_{task}(a, b):\n    {rng.choice('xyz')} = {result}\n    return a\n"
        answers.append({"text": text, "passed": right, "seconds": 1.5})
    return {
        "task_id": f"t/{task}",
        "source": source,
        "prompt": prompt,
        "entry_point": f"add_{task}",
        "test": "",
        "samples": answers,
    }


def lines(tasks: int = 6) -> list[dict[str, Any]]:
    return [line(task, source) for source in SOURCES for task in range(tasks)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

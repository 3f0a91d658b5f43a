"""The tool that fits the weights, on answers made up for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "bin" / "fit_votes.py"
RIGHT = ["return [x for x in xs if x > k]", "return list(filter(lambda x: x > k, xs))"]
WRONG = ["return ordered(xs)", "ys = [x for x in xs if x > k]", "pass"]


def _row(task: int, source: str) -> str:
    name = f"pick{task}"
    bodies = [(body, True) for body in RIGHT * 2] + [(body, False) for body in WRONG * 3]
    samples = [
        {"text": f"def {name}(xs, k):\n    {body}", "passed": passed} for body, passed in bodies
    ]
    prompt = f'def {name}(xs, k):\n    """The elements of xs above k."""\n'
    return json.dumps({"task_id": name, "source": source, "prompt": prompt, "samples": samples})


def test_it_fits_and_tells_the_headroom_of_every_size_and_source(tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="numpy is of the extra `train`")
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(_row(task, source) for task in range(4) for source in "ab"))
    done = subprocess.run(
        [sys.executable, TOOL, data, "--draws", "3", "--folds", "2", "--repeats", "1"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    told = [line for line in lines if line.startswith("n=")]
    assert [line[:3] for line in told] == ["n=3", "n=5", "n=8"] * 2
    for line in told:
        assert float(line.split("mean ")[1].split()[0]) > 90
        assert "  a " in line
        assert "  b " in line
    assert any(line.startswith('"undefined": -2.') for line in lines)
    assert lines[-1].startswith("LIKENESS = ")

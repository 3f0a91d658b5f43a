"""Answers run in a child: what passes, what fails, and what may not get out of hand."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from local_swarm.evals.check import DETAIL_CHARS, run_tests

TESTS = "assert f(1) == 1\nassert f(2) == 2\n"
posix = pytest.mark.skipif(os.name != "posix", reason="resource limits are POSIX")


def test_a_right_answer_passes() -> None:
    result = run_tests("def f(x):\n    return x\n", TESTS)
    assert result.passed
    assert result.detail == ""


def test_a_wrong_answer_fails_with_the_assert_that_failed() -> None:
    result = run_tests("def f(x):\n    return 1\n", TESTS)
    assert not result.passed
    assert result.detail == "AssertionError: assert f(2) == 2"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("def f(:", "SyntaxError"),
        ("def g(x):\n    return x", "NameError"),
        ("def f(x):\n    return f(x)", "RecursionError"),
        ("def f(x):\n    return x / 0", "ZeroDivisionError"),
        ("\x00", "SyntaxError"),
        ("\ud800", "SyntaxError"),
        ("", "NameError"),
    ],
)
def test_a_broken_answer_fails_with_its_error(answer: str, word: str) -> None:
    result = run_tests(answer, TESTS)
    assert not result.passed
    # The words for a null byte differ between Python versions.
    assert word in result.detail or "\x00" in answer


@pytest.mark.parametrize(
    "answer",
    [
        "import sys\nsys.exit(0)",
        "import os\nos._exit(0)",
        "raise SystemExit",
        "raise KeyboardInterrupt",
    ],
)
def test_leaving_early_is_not_passing(answer: str) -> None:
    assert not run_tests(answer, TESTS).passed


def test_an_endless_loop_ends_at_the_time_limit() -> None:
    started = time.monotonic()
    result = run_tests("def f(x):\n    while True:\n        pass\n", TESTS, timeout_s=0.5)
    assert not result.passed
    assert "0.5 s" in result.detail
    assert time.monotonic() - started < 5


@posix
def test_a_closed_error_stream_does_not_hide_an_endless_loop() -> None:
    answer = "import os\nos.close(2)\nwhile True:\n    pass\n"
    assert "0.5 s" in run_tests(answer, TESTS, timeout_s=0.5).detail


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS does not hold RLIMIT_AS")
def test_huge_memory_is_refused() -> None:
    result = run_tests("def f(x):\n    return len(bytearray(4 * 2**30))\n", TESTS)
    assert result.detail == "MemoryError"


@posix
@pytest.mark.parametrize(
    "answer",
    [
        "import os\nos.fork()\ndef f(x):\n    return x",
        "import os\nwhile True:\n    os.fork()",
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', ''])",
        "import os\nos.system('true')",
    ],
)
def test_starting_a_process_is_refused(answer: str) -> None:
    result = run_tests(answer, TESTS)
    assert not result.passed
    assert "may not start a process" in result.detail


@posix
def test_nothing_can_be_written_into_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    answer = f"with open({str(target)!r}, 'w') as file:\n    file.write('x' * 100)\n"
    assert not run_tests(answer, TESTS).passed
    assert not target.exists() or target.read_text() == ""


def test_the_environment_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSWARM_SECRET", "1")
    answer = "import os\nassert 'LSWARM_SECRET' not in os.environ\ndef f(x):\n    return x\n"
    assert run_tests(answer, TESTS).passed


def test_a_talkative_answer_is_cut_off() -> None:
    answer = "import sys\nwhile True:\n    print('out')\n    print('err' * 999, file=sys.stderr)\n"
    result = run_tests(answer, TESTS)
    assert not result.passed
    assert len(result.detail) <= DETAIL_CHARS


def test_printing_does_not_matter() -> None:
    assert run_tests("def f(x):\n    print(x)\n    return x\n", TESTS).passed


@pytest.mark.parametrize("end", ["raise SystemExit(73)", "import os; os._exit(0)", "exit()"])
def test_an_answer_that_ends_the_program_has_not_passed(end: str) -> None:
    assert not run_tests(f"def f():\n    return 1\n{end}", "assert f() == 2").passed

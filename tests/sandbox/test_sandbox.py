"""What comes of jobs, and what becomes of the sandbox's processes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from local_swarm.domain.execution import Ended, Job, Outcome, Report
from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Limits, Sandbox, pool, shared, unavailable
from local_swarm.sandbox.ways import Namespaces, Way
from tests.sandbox.boxes import PATIENCE_S, processes, result, told
from tests.sandbox.conftest import LACKING, UNHURRIED, begun

HANG = "def hang():\n    while True: pass\n"
ROOT = Path(__file__).parents[2]


def test_a_value_is_told_as_python_text(box: Sandbox) -> None:
    source = "from typing import List\ndef double(xs: List[int]):\n    return [2 * x for x in xs]"
    assert result(box, source, "double([1, 2])", "double('ab')", "{'b': 1, 'a': 2.0}") == [
        "value",
        "value [2, 4]",
        "value ['aa', 'bb']",
        "value {'a': 2.0, 'b': 1}",
    ]


def test_an_exception_is_told_by_its_class(box: Sandbox) -> None:
    source = "class Own(Exception): pass\ndef f(kind):\n    raise kind('no')"
    calls = "f(ValueError)", "f(Own)", "f(SystemExit)", "1 +", "missing"
    names = "ValueError", "Own", "SystemExit", "SyntaxError", "NameError"
    assert result(box, source, *calls) == ["value", *[f"raised {name}" for name in names]]


@pytest.mark.parametrize(
    ("source", "load"),
    [
        ("def f(:", "raised SyntaxError"),
        ("1 / 0", "raised ZeroDivisionError"),
        ("import sys\nsys.exit()", "raised SystemExit"),
        ("while True: pass", "timeout"),
        ("import os\nos._exit(0)", "limit"),
        ("'\ud800'", "raised UnicodeEncodeError"),
    ],
)
def test_a_program_that_fails_has_nothing_evaluated(source: str, load: str, box: Sandbox) -> None:
    assert result(box, source, "1", "2") == [load, "not run", "not run"]


def test_main_of_a_program_is_not_run(box: Sandbox) -> None:
    assert result(box, "if __name__ == '__main__':\n    1 / 0", "__name__") == [
        "value",
        "value 'answer'",
    ]


def test_dataclasses_and_enums_can_be_defined(box: Sandbox) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport enum\n"
        "@dataclass\nclass Point:\n    x: int\n    y: int = 2\n"
        "class Kind(enum.Enum):\n    A = 1\n"
    )
    assert result(box, source, "Point(1).y", "Point(1)", "Kind.A")[1:] == [
        "value 2",
        "value <Point>",
        "value <Kind.A>",
    ]


def test_what_hangs_costs_only_itself(way: Way) -> None:
    with begun(way, 1, UNHURRIED) as sandbox:
        ended = result(sandbox, HANG, *["1", "hang()", "2", "hang()", "3"])
    assert ended == ["value", "value 1", "timeout", "value 2", "timeout", "value 3"]


def test_what_crashes_costs_only_itself(box: Sandbox) -> None:
    ended = result(box, "import os", "1", "os._exit(1)", "2", "os.abort()")
    assert ended == ["value", "value 1", "limit", "value 2", "limit"]


def test_a_job_has_so_much_time_and_no_more(box: Sandbox) -> None:
    ended = result(box, HANG, *["hang()"] * 20)
    assert ended[:3] == ["value", "timeout", "timeout"]
    assert ended[-1] == "not run"


def test_a_run_has_so_much_time_and_no_more(way: Way) -> None:
    with Sandbox(Limits(run_wall_s=0.0), workers=1, ways=(begun_way(way),)) as sandbox:
        report = sandbox.run([Job("", ("1",))])[0]
    assert report == Report((Outcome(Ended.NOT_RUN),), Outcome(Ended.NOT_RUN))


def begun_way(way: Way) -> Way:
    begun(way).close()
    return way


def test_a_job_has_so_many_characters_and_no_more(box: Sandbox) -> None:
    ended = result(box, "", *[f"'x' * 4000 + '{n}'" for n in range(40)])
    assert ended[1].startswith("value 'xxx")
    assert ended[-1] in ("limit", "not run")
    assert len("".join(ended)) < 2 * box.limits.report_chars


def test_a_long_value_is_told_apart_by_its_end(box: Sandbox) -> None:
    one, same, other = result(box, "", *["'x' * 9000 + 'a'"] * 2, "'x' * 9000 + 'b'")[1:]
    assert one == same != other
    assert len(one) < len("value ") + 1 + box.limits.value_chars


def test_a_job_that_is_too_long_is_not_run(box: Sandbox) -> None:
    assert result(box, "#" * (box.limits.job_chars + 1), "1") == ["limit", "not run"]


def test_reports_come_in_the_order_of_the_jobs(box: Sandbox) -> None:
    jobs = [Job(f"n = {n}", ("n",)) for n in range(30)]
    jobs += jobs[:5]
    reports = box.run(jobs)
    assert [report.outcomes[0].text for report in reports] == [
        *map(str, range(30)),
        *map(str, range(5)),
    ]


def test_no_jobs_no_reports(box: Sandbox) -> None:
    assert box.run([]) == []
    assert box.run([Job("x = 1", ())]) == [Report(())]


def test_two_sandboxes_say_the_same(way: Way) -> None:
    source = "import random\ndef f(): return list({'a', 'b', 'c', 'd', 'e'}), random.random()"
    with begun(way, 1) as one, begun(way, 1) as other:
        assert result(one, source, "f()") == result(other, source, "f()")


def test_any_thread_may_call(box: Sandbox) -> None:
    found: dict[int, list[str]] = {}

    def ask(n: int) -> None:
        found[n] = result(box, f"n = {n}", "n")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == {n: ["value", f"value {n}"] for n in range(6)}


def test_it_lives_on_when_the_thread_that_began_it_ends(way: Way) -> None:
    made: list[Sandbox] = []
    begun(way).close()
    thread = threading.Thread(target=lambda: made.append(Sandbox(ways=(way,), workers=1)))
    thread.start()
    thread.join(PATIENCE_S)
    (sandbox,) = made
    tree = sandbox._tree
    with sandbox:
        assert result(sandbox, "", "1") == ["value", "value 1"]
        assert sandbox._tree is tree


def test_closing_leaves_no_process(way: Way) -> None:
    before = processes()
    sandbox = begun(way)
    assert processes() > before
    sandbox.close()
    sandbox.close()
    _, alive = psutil.wait_procs(processes() - before, PATIENCE_S)
    assert not alive
    with pytest.raises(SandboxUnavailable, match="closed"):
        sandbox.run([])


def test_processes_that_die_are_replaced(way: Way) -> None:
    before = processes()
    with begun(way) as sandbox:
        for process in processes() - before:
            with contextlib.suppress(psutil.NoSuchProcess):  # it went with one before it
                process.kill()
        assert result(sandbox, "", "1")[1] in ("value 1", "not run")
        assert result(sandbox, "", "1") == ["value", "value 1"]


def test_a_worker_that_dies_costs_its_own_job_only(way: Way) -> None:
    before = processes()
    with begun(way, 1) as sandbox:
        leaves = [each for each in processes() - before if not each.children()]
        leaves[0].kill()
        jobs = [Job(f"n = {n}", ("n",)) for n in range(3)]
        ended = [told(report.outcomes[0]) for report in sandbox.run(jobs)]
        assert ended[1:] == ["value 1", "value 2"]


@pytest.mark.parametrize(
    ("sign", "code"),
    [(signal.SIGKILL, "1 + 1"), (signal.SIGKILL, HANG + "hang()"), (signal.SIGTERM, "1 + 1")],
    ids=["killed", "killed while busy", "told to end"],
)
def test_all_its_processes_die_with_the_program(way: Way, sign: signal.Signals, code: str) -> None:
    begun(way).close()
    program = (
        "import sys\nfrom local_swarm.domain.execution import Job\n"
        "from local_swarm.sandbox import Limits, Sandbox\n"
        "from local_swarm.sandbox.ways import Bubblewrap, Namespaces\n"
        f"limits = Limits(load_s=600, job_s=600, job_wall_s=600, run_wall_s=600)\n"
        f"box = Sandbox(limits, 1, ways=({type(way).__name__}(),))\n"
        "print('begun', flush=True)\n"
        f"box.run([Job({code!r}, ())])\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"begun\n"
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) > 2
        parent.send_signal(sign)
    _, alive = psutil.wait_procs(family, PATIENCE_S)
    assert not alive


def test_its_processes_die_with_the_program_though_another_holds_its_streams(way: Way) -> None:
    begun(way).close()
    program = (
        "import subprocess, sys\nfrom local_swarm.sandbox import Sandbox\n"
        "from local_swarm.sandbox.ways import Bubblewrap, Namespaces\n"
        f"box = Sandbox(None, 2, ways=({type(way).__name__}(),))\n"
        "fds = [stream.fileno() for stream in box._tree.streams]\n"
        "holder = subprocess.Popen(['cat'], stdin=0, pass_fds=fds)\n"
        "print(holder.pid, flush=True)\nholder.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        holder = psutil.Process(int(parent.stdout.readline()))
        family = set(psutil.Process(parent.pid).children(recursive=True)) - {holder}
        assert len(family) > 2
        parent.kill()
        _, alive = psutil.wait_procs(family, PATIENCE_S)
        assert not alive
        assert holder.is_running()


def test_another_copy_of_its_streams_keeps_nothing_alive(way: Way) -> None:
    before = processes()
    sandbox = begun(way)
    assert sandbox._tree is not None
    copies = [os.dup(stream.fileno()) for stream in sandbox._tree.streams]
    try:
        sandbox.close()
        _, alive = psutil.wait_procs(processes() - before, PATIENCE_S)
        assert not alive
    finally:
        for copy in copies:
            os.close(copy)


def test_the_shared_one_is_one() -> None:
    if (why := unavailable()) is not None:
        pytest.skip(why)
    assert shared() is shared()
    assert result(shared(), "", "1") == ["value", "value 1"]


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "riscv64")]
)
def test_other_systems_are_refused(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool.sys, "platform", system)
    monkeypatch.setattr(pool.platform, "machine", lambda: machine)
    with pytest.raises(SandboxUnavailable, match="cannot be run safely"):
        Sandbox()


def test_the_reasons_of_all_ways_are_told() -> None:
    class Broken(Namespaces):
        def argv(self, fds: list[int], leash: int | None) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no such luck')"]

    class Absent(Namespaces):
        def missing(self) -> str | None:
            return "not there"

    before = processes()
    with pytest.raises(SandboxUnavailable) as caught:
        Sandbox(ways=(Absent(name="one"), Broken(name="other")), workers=1)
    assert "(one: not there; other: no such luck)" in caught.value.message
    assert processes() <= before


def _plain_python() -> str | None:
    """An interpreter that every user may run."""
    for name in ("python3", f"python3.{sys.version_info.minor}"):
        for folder in ("/usr/bin", "/usr/local/bin"):
            found = shutil.which(name, path=folder)
            if found and os.path.realpath(found).startswith("/usr"):
                return found
    return None


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="becomes another user")
def test_a_user_without_rights_can_have_one(
    way: Way, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = _plain_python()
    if python is None:
        pytest.skip("no interpreter that other users may run")
    begun(way).close()
    program = (
        "import os, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from local_swarm.errors import SandboxUnavailable\n"
        "from local_swarm.domain.execution import Job\n"
        "from local_swarm.sandbox import Sandbox\n"
        "from local_swarm.sandbox.ways import Bubblewrap, Namespaces\n"
        f"try:\n    box = Sandbox(workers=1, ways=({type(way).__name__}(),))\n"
        "except SandboxUnavailable as exc:\n    sys.exit('none: ' + exc.message)\n"
        "with box:\n    print(box.run([Job('', ('6 * 7',))])[0].outcomes[0].text)\n"
    )
    done = subprocess.run(
        [python, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.stderr.startswith("none: ") and re.search(LACKING, done.stderr):
        pytest.skip(done.stderr)
    assert (done.stdout, done.stderr) == ("42\n", "")

"""A sandbox begins, or says why not, whatever the program is like that begins it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local_swarm.domain.execution import Job
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.inside import namespaces
from local_swarm.sandbox.ways import Way
from tests.sandbox.boxes import PATIENCE_S, processes, result
from tests.sandbox.conftest import begun
from tests.sandbox.test_walls import NO_FILTER, NO_LIMITS, NO_SELF_TEST, Weakened

ROOT = Path(__file__).parents[2]
PROGRAM = """
from local_swarm.domain.execution import Job
from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.ways import Bubblewrap, Namespaces
try:
    with Sandbox(workers=1, ways=(WAY(),)) as box:
        print(box.run([Job("", ("6 * 7",))])[0].outcomes[0].text)
except SandboxUnavailable as exc:
    print("none:", exc.message)
"""
UNSHARE, CLONE = {"x86_64": (272, 56), "aarch64": (97, 220)}.get(os.uname().machine, (0, 0))
NAMESPACE_FLAGS = 0x7E020000
LIKE_A_CONTAINER = f"""
from local_swarm.sandbox.inside import seccomp
steps = [
    (0x20, 0, 0, 0),
    (0x15, 0, 1, {UNSHARE}), (0x06, 0, 0, seccomp.ERRNO | 1),
    (0x15, 0, 3, {CLONE}), (0x20, 0, 0, 16), (0x45, 0, 1, {NAMESPACE_FLAGS}),
    (0x06, 0, 0, seccomp.ERRNO | 1), (0x06, 0, 0, seccomp.ALLOW),
]
seccomp.program = lambda *_: steps
seccomp.confine(seccomp.assembled(3))
"""
"""As Docker's own profile: no new namespaces."""


def said(way: Way, before: str = "", python: str = sys.executable) -> str:
    """What a program says that does `before` and has a sandbox then."""
    begun(way, 1).close()
    program = before + PROGRAM.replace("WAY", type(way).__name__)
    done = subprocess.run(
        [python, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(("kind", "most"), [("RLIMIT_AS", 2**30), ("RLIMIT_DATA", 2**27)])
def test_limits_of_the_program_that_are_tighter_stay(kind: str, most: int, way: Way) -> None:
    limit = f"import resource as r\nr.setrlimit(r.{kind}, ({most}, {most}))\n"
    assert said(way, limit) == "42\n"


def test_a_program_that_waits_for_no_child_has_one(way: Way) -> None:
    ignored = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    assert said(way, ignored) == "42\n"


def test_without_descriptors_it_is_refused(way: Way) -> None:
    few = "import resource as r\nr.setrlimit(r.RLIMIT_NOFILE, (4, 4))\n"
    assert "Too many open files" in said(way, few + "import local_swarm.sandbox.pool\n")


def test_an_interpreter_behind_a_link_will_do(way: Way, tmp_path: Path) -> None:
    link = tmp_path / "a link, \udcff"
    link.symlink_to(sys.base_prefix, target_is_directory=True)
    name = Path(os.path.realpath(sys.executable)).name
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    before = f"import sys, sysconfig\nsys.path.append({packages!r})\n"
    before += "sysconfig.get_config_var = lambda name: None\n"  # what a moved build says is wrong
    assert said(way, before, str(link / "bin" / name)) == "42\n"


def test_a_container_that_forbids_namespaces_is_named(way: Way) -> None:
    words = said(way, LIKE_A_CONTAINER)
    assert words.startswith("none: Answers' code cannot be run safely on this machine")
    assert "ermi" in words  # "Operation not permitted", "No permissions"
    if way.name == "namespaces":
        assert "unshare and mount must be allowed" in words


@pytest.mark.parametrize("setting", sorted(namespaces._FORBIDDING))
def test_a_setting_that_forbids_namespaces_is_named(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidding = namespaces._FORBIDDING[setting]
    set_to = {f"/proc/sys/{setting}": forbidding}
    monkeypatch.setattr(namespaces, "_read", lambda path: set_to.get(path, ""))
    words = namespaces.why(PermissionError(1, "unshare: Operation not permitted"))
    assert words.endswith(f"{setting.replace('/', '.')} is {forbidding}")


def test_a_kernel_without_filters_is_named(way: Way) -> None:
    begun(way, 1).close()
    no_seccomp = "from inside import seccomp; seccomp._PR_SET_SECCOMP = 99999; "
    with pytest.raises(Exception, match=r"cannot be set: .*seccomp.*Invalid argument"):
        Sandbox(ways=(Weakened(way, no_seccomp),), workers=1)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """More than select(2) takes, and than lie below the limit that the sandbox sets itself."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip(f"the system allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    yield
    for fd in held:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_program_with_many_descriptors_gives_none_away(way: Way, many_descriptors: None) -> None:
    begun(way, 1).close()
    source = """
import os
def held():
    found = []
    for fd in range(2048):
        try:
            found.append(os.fstat(fd) and fd)
        except OSError:
            pass
    return found
"""
    weak = Weakened(way, NO_SELF_TEST + NO_FILTER + NO_LIMITS)
    with Sandbox(ways=(weak,), workers=2) as sandbox:
        assert result(sandbox, source, "held()") == ["value", "value [3]"]


def test_it_is_served_last_and_dies_first(way: Way) -> None:
    before = processes()
    with begun(way):
        family = processes() - before
        pythons = [each for each in family if "python" in each.name()]
        assert all(each.nice() > psutil.Process().nice() for each in pythons)
        oom = {Path(f"/proc/{each.pid}/oom_score_adj").read_text().strip() for each in family}
        assert oom == {"1000"}


def test_nobody_of_the_same_user_may_look_into_any_of_it(way: Way) -> None:
    """Who may not be traced has its files in /proc owned by root."""
    if os.geteuid() == 0:
        pytest.skip("root may look into everything")
    before = processes()
    with begun(way):
        for each in processes() - before:
            if "python" in each.name():
                assert os.stat(f"/proc/{each.pid}/environ").st_uid == 0


def _in_a_fork(act: str, sandbox: Sandbox) -> str:
    """What comes of it in a fork of this process."""
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write_fd, repr(eval(act, {"box": sandbox, "result": result})).encode())
        finally:
            os._exit(0)
    os.close(write_fd)
    with os.fdopen(read_fd) as told:
        answer = told.read()
    os.waitpid(pid, 0)
    return answer


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    "act", ["result(box, '', '1')", "box.close()", "box.__exit__(None, *'no')"]
)
def test_a_fork_of_the_program_leaves_the_sandbox_alone(act: str, way: Way) -> None:
    with begun(way) as sandbox:
        tree = sandbox._tree
        expected = "['value', 'value 1']" if "result" in act else "None"
        assert _in_a_fork(act, sandbox) == expected
        assert result(sandbox, "", "2") == ["value", "value 2"]
        assert sandbox._tree is tree


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_a_run_is_on_has_its_own(way: Way) -> None:
    with begun(way) as sandbox, sandbox._lock:
        told: list[str] = []
        thread = threading.Thread(
            target=lambda: told.append(_in_a_fork("result(box,'','1')", sandbox))
        )
        thread.start()
        thread.join(PATIENCE_S)
        assert told == ["['value', 'value 1']"]


def test_hundreds_of_jobs_leave_nothing_behind(way: Way) -> None:
    before = processes()
    with begun(way) as sandbox:
        result(sandbox, "", "1")
        own, family = _descriptors(psutil.Process()), processes() - before
        sandbox.run([Job(f"n = {n}", ("n",)) for n in range(200)])
        assert _descriptors(psutil.Process()) == own
        psutil.wait_procs(processes() - before - family, PATIENCE_S)  # the last keepers
        assert processes() - before <= family


def _descriptors(process: psutil.Process) -> int:
    return len(os.listdir(f"/proc/{process.pid}/fd"))

"""Each wall holds while another is missing."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Limits, Sandbox
from local_swarm.sandbox.ways import Namespaces, Way
from tests.sandbox.attacks import DESCRIPTORS, FILES, NATIVE, NETWORK
from tests.sandbox.boxes import SECRET, ends, outside, result
from tests.sandbox.conftest import QUICK, begun

NO_SELF_TEST = "from inside import selftest; selftest.holes = list; "
NO_FILTER = "from inside import seccomp; seccomp.confine = id; "
NO_LIMITS = "from inside import child; child._limit = lambda *limits: None; "
MACHINE_PATHS = [
    "/etc/passwd",
    "/home",
    "/proc/self",
    "/dev/null",
    "/sys/kernel",
    "/tmp",
    "/../etc",
    __file__,
]


@dataclass(frozen=True)
class Weakened:
    """A way with a wall taken out, by code that runs before the zygote's own."""

    way: Way
    before: str

    @property
    def name(self) -> str:
        return self.way.name

    def missing(self) -> str | None:
        return self.way.missing()

    def argv(self, fds: list[int], leash: int | None) -> list[str]:
        *command, start, room, setup = self.way.argv(fds, leash)
        return [*command, start.replace("from inside.", self.before + "from inside."), room, setup]


@dataclass(frozen=True)
class NoNamespaces(Namespaces):
    def argv(self, fds: list[int], leash: int | None) -> list[str]:
        *command, setup = super().argv(fds, leash)
        return [*command, setup.replace('"is_walled": false', '"is_walled": true')]


def test_a_sandbox_without_a_filter_is_not_used(way: Way) -> None:
    begun(way).close()
    with pytest.raises(SandboxUnavailable, match=r"code in it could .*open a socket"):
        Sandbox(ways=(Weakened(way, NO_FILTER),), workers=1)


def test_a_sandbox_without_namespaces_is_not_used() -> None:
    begun(Namespaces()).close()
    with pytest.raises(SandboxUnavailable, match="see the machine's files"):
        Sandbox(ways=(NoNamespaces(),), workers=1)


@pytest.fixture(scope="module")
def filterless(way: Way) -> Iterator[Sandbox]:
    begun(way).close()
    weak = Weakened(way, NO_SELF_TEST + NO_FILTER + NO_LIMITS)
    with Sandbox(QUICK, ways=(weak,), workers=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def filter_only() -> Iterator[Sandbox]:
    begun(Namespaces()).close()
    weak = Weakened(NoNamespaces(), NO_SELF_TEST)
    with Sandbox(QUICK, ways=(weak,), workers=2) as sandbox:
        yield sandbox


def test_namespaces_hold_without_the_filter(filterless: Sandbox, tmp_path: Path) -> None:
    with outside(tmp_path) as beside:
        sources = {a.name: beside.filled_in(a.source) for a in (*FILES, *NETWORK)}
        assert SECRET not in repr(ends(filterless, sources, "attack()"))
        beside.assert_untouched()


def test_nothing_of_the_machine_is_there_without_the_filter(filterless: Sandbox) -> None:
    calls = [f"os.stat({path!r})" for path in MACHINE_PATHS]
    for ended in result(filterless, "import os", *calls)[1:]:
        assert ended in ("raised FileNotFoundError", "raised PermissionError")


def test_no_rights_are_left_without_the_filter(filterless: Sandbox) -> None:
    tried = {
        "mount": "libc.mount(b'none', b'/', b'tmpfs', 0, None)",
        "chroot": "libc.chroot(b'/')",
        "sethostname": "libc.sethostname(b'x', 1)",
        "another user": "libc.setuid(0)",
        "signal another": f"libc.kill({os.getpid()}, 0)",
    }
    ended = result(filterless, NATIVE, *tried.values())
    assert ended == ["value", *["value -1"] * len(tried)]


def test_all_limits_are_set_and_no_rights_can_come_back(way: Way) -> None:
    begun(way).close()
    kinds = "DATA", "AS", "STACK", "CPU", "NPROC", "FSIZE", "NOFILE", "CORE", "MEMLOCK", "MSGQUEUE"
    calls = [f"resource.getrlimit(resource.RLIMIT_{kind})" for kind in kinds]
    own = {
        "os.getresuid() + os.getresgid()": f"value {(65534,) * 6}",
        "set(os.getgroups()) <= {65534}": "value True",
        "os.statvfs('/').f_flag & os.ST_RDONLY": "value 1",
        "libc.prctl(39, 0, 0, 0, 0)": "value 1",  # that it gains no new privileges
        "libc.prctl(3, 0, 0, 0, 0)": "value 0",  # whether it may be looked into
    }
    in_groups = "import os; os.geteuid() or os.setgroups([7]); "
    limits = Limits(memory_bytes=64 << 20)
    with Sandbox(limits, 1, ways=(Weakened(way, in_groups + NO_SELF_TEST + NO_FILTER),)) as sandbox:
        told = result(sandbox, f"import os, resource\n{NATIVE}", *calls, *own)[1:]
    sizes = 64 << 20, (64 << 20) + (2 << 30), 8 << 20, 2, 0, 0, 0, 0, 0, 0
    assert told[: len(kinds)] == [f"value ({size}, {size})" for size in sizes]
    assert told[len(kinds) :] == list(own.values())


def test_no_objects_of_system_v_are_shared_without_the_filter(filterless: Sandbox) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    key = 1 + secrets.randbelow(2**30)
    queue = libc.msgget(key, 0o1666)
    if queue == -1:
        pytest.skip(os.strerror(ctypes.get_errno()))
    try:
        assert result(filterless, NATIVE, f"libc.msgget({key}, 0)")[1] == "value -1"
    finally:
        libc.msgctl(queue, 0, None)


def test_the_filter_holds_without_namespaces(filter_only: Sandbox, tmp_path: Path) -> None:
    attacks = {attack.name: attack for attack in (*FILES, *NETWORK, *DESCRIPTORS)}
    with outside(tmp_path) as beside:
        sources = {name: beside.filled_in(attack.source) for name, attack in attacks.items()}
        ended = ends(filter_only, sources, "attack()")
        assert {n: how for n, how in ended.items() if how not in attacks[n].ends} == {}
        assert SECRET not in repr(ended)
        beside.assert_untouched()

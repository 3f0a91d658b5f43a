"""Each wall holds while another is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_swarm.errors import SandboxUnavailable
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.ways import Namespaces, Way
from tests.sandbox.attacks import DESCRIPTORS, FILES, NATIVE, NETWORK, Attack
from tests.sandbox.boxes import SECRET, outside, result
from tests.sandbox.conftest import begun

NO_SELF_TEST = "from inside import selftest; selftest.holes = list; "
NO_FILTER = "from inside import seccomp; seccomp.confine = id; "
NO_LIMITS = "from inside import child; child._limit = lambda *limits: None; "
MACHINE_PATHS = ["/etc/passwd", "/home", "/proc/self", "/dev/null", "/sys/kernel", "/tmp", __file__]


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
    with Sandbox(ways=(Weakened(way, NO_SELF_TEST + NO_FILTER + NO_LIMITS),), workers=2) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def filter_only() -> Iterator[Sandbox]:
    begun(Namespaces()).close()
    with Sandbox(ways=(Weakened(NoNamespaces(), NO_SELF_TEST),), workers=2) as sandbox:
        yield sandbox


@pytest.mark.parametrize("attack", [*FILES, *NETWORK], ids=lambda attack: attack.name)
def test_namespaces_hold_without_the_filter(
    attack: Attack, filterless: Sandbox, tmp_path: Path
) -> None:
    with outside(tmp_path) as beside:
        told = result(filterless, beside.filled_in(attack.source), "attack()")
        assert SECRET not in repr(told)
        beside.assert_untouched()


@pytest.mark.parametrize("path", MACHINE_PATHS)
def test_nothing_of_the_machine_is_there_without_the_filter(path: str, filterless: Sandbox) -> None:
    ended = result(filterless, "import os", f"os.stat({path!r})")
    assert ended[1] in ("raised FileNotFoundError", "raised PermissionError")


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


@pytest.mark.parametrize("attack", [*FILES, *NETWORK, *DESCRIPTORS], ids=lambda attack: attack.name)
def test_the_filter_holds_without_namespaces(
    attack: Attack, filter_only: Sandbox, tmp_path: Path
) -> None:
    with outside(tmp_path) as beside:
        told = result(filter_only, beside.filled_in(attack.source), "attack()")
        assert SECRET not in repr(told)
        assert told[1] in attack.ends
        beside.assert_untouched()

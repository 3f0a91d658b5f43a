"""Sandboxes for tests, and what must not be touched from inside one."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from local_swarm.domain.execution import Job, Outcome
from local_swarm.sandbox import Sandbox
from local_swarm.sandbox.ways import Bubblewrap, Namespaces, Way

WAYS: tuple[Way, ...] = (Namespaces(), Bubblewrap())
PATIENCE_S = 20.0
SECRET = "the canary's secret"


def told(outcome: Outcome) -> str:
    return f"{outcome.ended.value} {outcome.text}".strip()


def result(sandbox: Sandbox, source: str, *expressions: str) -> list[str]:
    """How the program ended, and each expression."""
    (report,) = sandbox.run([Job(source, expressions)])
    return [told(report.load), *map(told, report.outcomes)]


def sibling(n: int) -> Job:
    """A program without ill will."""
    return Job(f"n = {n}\ndef f(n):\n    return sum(range(n))\n", ("f(10)", "n"))


def ends(sandbox: Sandbox, sources: Mapping[str, str], expression: str) -> dict[str, str]:
    """How the expression ended in each program, all in one run; how the program itself did where
    it failed. Beside and after each runs one without ill will, which must have its right result,
    and none may cost the sandbox a process that serves others."""
    tree = sandbox._tree
    jobs = [Job(source, (expression,)) for source in sources.values()]
    mixed = [each for n, job in enumerate(jobs) for each in (sibling(n), job)]
    reports = sandbox.run([*mixed, sibling(len(jobs))])
    for n, report in enumerate(reports[::2]):
        assert [told(outcome) for outcome in report.outcomes] == ["value 45", f"value {n}"]
    assert sandbox._tree is tree
    return {
        name: told(report.outcomes[0] if told(report.load) == "value" else report.load)
        for name, report in zip(sources, reports[1::2], strict=True)
    }


def processes() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@dataclass(frozen=True)
class Outside:
    """Files, listening sockets and processes beside a sandbox."""

    folder: Path
    canary: Path
    link: Path
    tcp: socket.socket
    udp: socket.socket
    abstract: socket.socket
    before: set[psutil.Process]

    def filled_in(self, source: str) -> str:
        """The source of an attack with what it attacks."""
        names = {
            "CANARY": str(self.canary),
            "FOLDER": str(self.folder),
            "LINK": str(self.link),
            "HOST": socket.inet_aton(self.tcp.getsockname()[0]),
            "TCP": self.tcp.getsockname()[1],
            "UDP": self.udp.getsockname()[1],
            "ABSTRACT": self.abstract.getsockname().decode(),
            "PARENT": os.getpid(),
            "MACHINE": os.uname().machine,
        }
        head = "".join(f"{name} = {value!r}\n" for name, value in names.items())
        return head + source.replace("/proc/PARENT/", f"/proc/{os.getpid()}/")

    def assert_untouched(self) -> None:
        assert self.canary.read_text() == SECRET
        assert {path.name for path in self.folder.iterdir()} == {"canary", "link"}
        for listening in (self.tcp, self.udp, self.abstract):
            assert _is_silent(listening)
        _, alive = psutil.wait_procs(processes() - self.before, PATIENCE_S)
        assert not alive
        assert self.before <= processes()


def _is_silent(listening: socket.socket) -> bool:
    take = listening.accept if listening.type == socket.SOCK_STREAM else lambda: listening.recv(1)
    try:
        take()
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def outside(folder: Path) -> Iterator[Outside]:
    canary, link = folder / "canary", folder / "link"
    host = f"127.{83 + os.getpid() % 100}.{secrets.randbelow(250)}.9"  # nobody else's
    canary.write_text(SECRET)
    link.symlink_to(canary)
    with contextlib.ExitStack() as stack:

        def listening(family: int, kind: int, address: object) -> socket.socket:
            made = stack.enter_context(socket.socket(family, kind))
            made.bind(address)
            made.setblocking(False)
            if kind == socket.SOCK_STREAM:
                made.listen()
            return made

        yield Outside(
            folder,
            canary,
            link,
            listening(socket.AF_INET, socket.SOCK_STREAM, (host, 0)),
            listening(socket.AF_INET, socket.SOCK_DGRAM, (host, 0)),
            listening(socket.AF_UNIX, socket.SOCK_STREAM, f"\0swarm-test-{os.getpid()}"),
            processes(),
        )

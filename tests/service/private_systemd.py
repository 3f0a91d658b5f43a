"""A systemd of our own, for the tests: PID 1 of a few namespaces, on a throw-away copy of the root.

Nothing of it reaches the machine: its files lie on an overlay in memory, its processes end with it.
It needs root, and a kernel that lets it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PATIENCE_S = 60.0
SYSTEMD = "/lib/systemd/systemd"
TOOLS = ("unshare", "nsenter", "mount", "pivot_root", "systemctl")
UNSHARE = ("unshare", "-m", "-p", "-f", "-u", "-i", "-n", "-C", "--kill-child=KILL")
BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$SCRATCH"
mkdir "$SCRATCH/upper" "$SCRATCH/work" "$SCRATCH/root"
layers="lowerdir=/,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work"
mount -t overlay overlay -o "$layers" "$SCRATCH/root"
cd "$SCRATCH/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs tmpfs $folder; done
for node in null zero full random urandom tty; do
  touch dev/$node; mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
mount -t tmpfs tmpfs dev/shm
rm -f etc/machine-id; tr -d - < /proc/sys/kernel/random/uuid > etc/machine-id
printf '[Unit]\\nAllowIsolate=yes\\n' > etc/systemd/system/empty.target
pivot_root . mnt  # not chroot: within one, nobody may make user namespaces
cd /
umount -l mnt
exec /usr/bin/env -i container=lxc PATH="$PATH" \\
  "$SYSTEMD" --system --unit=empty.target --log-target=console --log-level=info --show-status=no
"""


def until(condition: Callable[[], bool], what: str) -> None:
    """Looks again and again; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)


def missing() -> str | None:
    """Why there can be none here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if not Path(SYSTEMD).exists() or lacking:
        return f"needs systemd and {', '.join(TOOLS)}"
    if _cgroups() is None:
        return "needs cgroups of version 2 that may be written"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return f"needs namespaces: {tried.stderr.strip()}" if tried.returncode else None


def _cgroups() -> Path | None:
    places = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
    return next((p for p in places if os.access(p / "cgroup.procs", os.W_OK)), None)


@dataclass
class Machine:
    """One that runs."""

    pid: int

    def root(self, path: str) -> Path:
        """A file of it, as we can reach it from outside."""
        return Path(f"/proc/{self.pid}/root{path}")

    def write(self, path: str, content: str) -> None:
        file = self.root(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", *argv],
            env={"PATH": os.environ["PATH"], "HOME": "/root"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0 or not check, f"{argv}: {done.stderr}{done.stdout}"
        return done

    def python(self, code: str) -> str:
        return self.run(sys.executable, "-c", code).stdout

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        out = self.run("systemctl", "show", unit, f"-p{','.join(names)}").stdout
        return dict(line.split("=", 1) for line in out.splitlines())

    def processes(self, unit: str) -> list[psutil.Process]:
        """Those of a service, by its cgroup."""
        procs = self.root(f"/sys/fs/cgroup/system.slice/{unit}/cgroup.procs")
        try:
            return [psutil.Process(int(pid)) for pid in procs.read_text().split() if pid != "0"]
        except (FileNotFoundError, OSError):
            return []

    def open_up(self, path: str) -> None:
        """Lets everybody reach a path: on the overlay, so that nothing of ours changes."""
        for part in (*reversed(Path(path).parents), Path(path)):
            copy = self.root(str(part))
            copy.chmod(copy.stat().st_mode | (0o055 if copy.is_dir() else 0o044))


@contextmanager
def machine(scratch: Path) -> Iterator[Machine]:
    """A systemd that has booted, ended with all that it runs when the context closes."""
    cgroups = _cgroups()
    assert cgroups is not None
    cgroup = cgroups / f"private-systemd-{os.getpid()}"
    cgroup.mkdir()
    (scratch / "disk").mkdir()
    log = scratch / "systemd.log"
    enter = f'echo $$ > "$CGROUP/cgroup.procs" && exec {" ".join(UNSHARE)}'
    with log.open("wb") as output:
        wrapper = subprocess.Popen(
            ["sh", "-c", f'{enter} sh -c "$BOOT"'],
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "BOOT": BOOT,
                "CGROUP": str(cgroup),
                "SCRATCH": str(scratch / "disk"),
                "SYSTEMD": SYSTEMD,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield _booted(wrapper, log)
    finally:
        wrapper.kill()
        wrapper.wait()
        until(lambda: _removed(cgroup), "its processes to end")


def _booted(wrapper: subprocess.Popen[bytes], log: Path) -> Machine:
    found: list[Machine] = []

    def is_up() -> bool:
        assert wrapper.poll() is None, log.read_text(errors="replace")
        children = psutil.Process(wrapper.pid).children()
        if not children or children[0].name() != "systemd":
            return False
        found[:] = [Machine(children[0].pid)]
        state = found[0].run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in ("running", "degraded")

    until(is_up, "systemd to boot")
    return found[0]


def _removed(cgroup: Path) -> bool:
    """Takes the groups away once nothing is in them."""
    try:
        for folder, _, _ in os.walk(cgroup, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True

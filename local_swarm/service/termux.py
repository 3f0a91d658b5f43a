"""Termux on Android: runit's services, as the package termux-services has them.

Written after its documentation and runsv(8); tried with runit itself, never on Android.
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.errors import UsageError
from local_swarm.service.base import Surroundings
from local_swarm.service.files import filled, reading, write
from local_swarm.service.service import (
    Service,
    ServiceError,
    ServiceState,
    ServiceStatus,
    Target,
    UnitFile,
)

STATES = {"run": ServiceState.RUNNING, "down": ServiceState.STOPPED, "finish": ServiceState.FAILED}
_SV = ("sv", "-w", "120")  # so many seconds until what does not stop is killed
STOP_CALL_S = 150.0
_STATUS = re.compile(r"(?P<state>run|down|finish): [^:]+:(?: \(pid (?P<pid>\d+)\))?")


@dataclass(frozen=True, slots=True)
class Termux:
    """A folder below `$PREFIX/var/service`, which runsvdir watches: it starts what appears."""

    here: Surroundings = field(default_factory=Surroundings)
    name: str = "termux"

    def missing(self, system: bool) -> str | None:
        if not self.here.env.get("PREFIX"):
            return "this is not Termux"
        if not self.services().is_dir():
            return "termux-services is not installed (`pkg install termux-services`, new session)"
        return None

    def prefix(self) -> str:
        return self.here.env.get("PREFIX") or "/data/data/com.termux/files/usr"

    def services(self) -> Path:
        return Path(self.here.env.get("SVDIR") or f"{self.prefix()}/var/service")

    def own_directory(self, target: Target, user: str) -> str | None:
        return None

    def path(self, target: Target) -> Path:
        return self.services() / target.unit

    def logs(self, target: Target) -> str:
        return f"{self.prefix()}/var/log/sv/{target.unit}/current"

    def files(self, service: Service) -> tuple[UnitFile, ...]:
        if service.target.system:
            raise UsageError("Termux has no services of the machine.", hint="Leave --system out.")
        folder, prefix = self.path(service.target), self.prefix()
        run = {
            "prefix": prefix,
            "environment": "\n".join(
                f"export {key}={shlex.quote(value)}"
                for key, value in sorted(service.environment.items())
            ),
            "command": shlex.join(service.command),
        }
        logs = {"prefix": prefix, "logs": shlex.quote(f"{prefix}/var/log/sv/{folder.name}")}
        # runsvdir looks every five seconds: what starts it comes last.
        return (
            UnitFile(folder / "log" / "run", filled("termux-log.sh", logs), 0o755),
            UnitFile(folder / "finish", filled("termux-finish.sh", {"prefix": prefix}), 0o755),
            UnitFile(folder / "run", filled("termux-run.sh", run), 0o755),
        )

    def read(self, target: Target) -> Service:
        run = self.path(target) / "run"
        with reading(run):
            _, _, *words = shlex.split(run.read_text(encoding="utf-8"), comments=True)
            settings: dict[str, str] = {}
            while words[0] == "export":
                name, _, settings[name] = words[1].partition("=")
                words = words[2:]
            if words[0] != "exec":
                raise ValueError(words[0])
            return Service(target, tuple(words[1:]), environment=settings)

    def install(self, service: Service) -> tuple[str, ...]:
        folder = self.path(service.target)
        write(self.files(service))
        return (
            f"Wrote {folder}.",
            "runit starts it within five seconds, and whenever Termux runs.",
            "Android stops what it thinks idle: `termux-wake-lock` keeps Termux awake, and the app"
            " Termux:Boot starts it with the phone.",
        )

    def uninstall(self, target: Target) -> bool:
        folder = self.path(target)
        if not folder.is_dir():
            return False
        # Out of runsvdir's sight first, which would bring its runsv back. Where none runs, `sv`
        # fails, and there is nothing to end.
        hidden = folder.with_name(f".{folder.name}")
        try:
            folder.rename(hidden)
            self.here.run((*_SV, "force-shutdown", str(hidden)), STOP_CALL_S)
            shutil.rmtree(hidden)
        except OSError as exc:
            raise ServiceError(f"Cannot remove {folder}: {exc.strerror or exc}.") from exc
        return True

    def start(self, target: Target) -> None:
        self.here.checked("sv", "start", str(self.path(target)))

    def stop(self, target: Target) -> None:
        self.here.checked(*_SV, "force-stop", str(self.path(target)), timeout_s=STOP_CALL_S)

    def restart(self, target: Target) -> None:
        self.stop(target)
        self.start(target)

    def status(self, target: Target) -> ServiceStatus:
        folder = self.path(target)
        if not folder.is_dir():
            return ServiceStatus(ServiceState.ABSENT)
        return parsed(
            self.here.run(("sv", "status", str(folder))).out, not (folder / "down").exists()
        )


def parsed(shown: str, enabled: bool) -> ServiceStatus:
    """`sv status`; anything but a state is runsv not being there yet."""
    found = _STATUS.match(shown)
    if found is None:
        return ServiceStatus(ServiceState.STOPPED, enabled, detail=shown.strip())
    pid = int(found["pid"]) if found["pid"] else None
    return ServiceStatus(STATES[found["state"]], enabled, pid)

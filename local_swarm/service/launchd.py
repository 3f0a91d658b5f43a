"""launchd(8): an agent of the user, or a daemon of the machine.

Written after launchd.plist(5) and launchctl(1); never seen on a real macOS.
"""

from __future__ import annotations

import os
import plistlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_swarm.errors import UsageError
from local_swarm.service.base import Surroundings
from local_swarm.service.files import reading, remove, template, write
from local_swarm.service.service import (
    Service,
    ServiceState,
    ServiceStatus,
    Target,
    UnitFile,
)

PREFIX = "local-swarm"
_PID = re.compile(r'"PID" = (\d+);')
_EXIT = re.compile(r'"LastExitStatus" = (-?\d+);')


@dataclass(frozen=True, slots=True)
class Launchd:
    """`launchctl`. A started service is one that is loaded: it runs as soon as it is."""

    here: Surroundings = field(default_factory=Surroundings)
    uid: int = field(default_factory=lambda: os.getuid() if hasattr(os, "getuid") else 0)
    name: str = "launchd"

    def missing(self, system: bool) -> str | None:
        return None if self.here.run(("launchctl", "version")).code == 0 else "there is no launchd"

    def label(self, target: Target) -> str:
        return f"{PREFIX}.{target.unit}"

    def own_directory(self, target: Target, user: str) -> str | None:
        return None

    def path(self, target: Target) -> Path:
        folder = (
            self.here.root / "Library/LaunchDaemons"
            if target.system
            else self.here.home / "Library/LaunchAgents"
        )
        return folder / f"{self.label(target)}.plist"

    def log(self, target: Target) -> Path:
        base = self.here.root if target.system else self.here.home
        return base / "Library/Logs/local_swarm" / f"{target.unit}.log"

    def logs(self, target: Target) -> str:
        return str(self.log(target))

    def files(self, service: Service) -> tuple[UnitFile, ...]:
        content = plistlib.dumps(self.job(service), sort_keys=False)
        return (UnitFile(self.path(service.target), content),)

    def job(self, service: Service) -> dict[str, Any]:
        """The property list. Raises UsageError for a service of the machine without a user: it
        would run as root."""
        target, log = service.target, str(self.log(service.target))
        if target.system and not service.user:
            raise UsageError(
                "A service of the machine would run as root.", hint="Name a user with --run-as."
            )
        job: dict[str, Any] = {
            "Label": self.label(target),
            "ProgramArguments": list(service.command),
            "EnvironmentVariables": dict(service.environment),
            "StandardOutPath": log,
            "StandardErrorPath": log,
            "ExitTimeOut": service.longest_stop_s,
        }
        if target.system:
            job["UserName"] = service.user
        usual: dict[str, Any] = plistlib.loads(template("launchd.plist"))
        return job | usual

    def read(self, target: Target) -> Service:
        path = self.path(target)
        with reading(path):
            job = plistlib.loads(path.read_bytes())
            return Service(
                target,
                command=tuple(job["ProgramArguments"]),
                user=job.get("UserName", ""),
                environment=dict(job["EnvironmentVariables"]),
                stop_s=Service.stop_s_of(job["ExitTimeOut"]),
            )

    def install(self, service: Service) -> tuple[str, ...]:
        target = service.target
        self.here.needs_root(target.system)
        files = self.files(service)
        write([*files, *self._log_file(target)])
        self.here.checked("launchctl", "enable", self._service(target))
        when = "with the machine" if target.system else "when you log in"
        return (*(f"Wrote {file.path}." for file in files), f"It starts {when}.")

    def _log_file(self, target: Target) -> tuple[UnitFile, ...]:
        """launchd opens the file as the service's user, who could not make one in /Library."""
        log = self.log(target)
        return () if log.exists() or target.system else (UnitFile(log, b"", 0o600),)

    def uninstall(self, target: Target) -> bool:
        self.here.needs_root(target.system)
        if not self.path(target).exists():
            return False
        self.stop(target)
        return remove(self.path(target))

    def start(self, target: Target) -> None:
        self.here.needs_root(target.system)
        if not self._is_loaded(target):
            self.here.checked(
                "launchctl", "bootstrap", self._domain(target), str(self.path(target))
            )
        else:
            self.here.checked("launchctl", "kickstart", self._service(target))

    def stop(self, target: Target) -> None:
        self.here.needs_root(target.system)
        if self._is_loaded(target):
            self.here.checked("launchctl", "bootout", self._service(target), timeout_s=3600.0)

    def restart(self, target: Target) -> None:
        self.stop(target)
        self.start(target)

    def status(self, target: Target) -> ServiceStatus:
        if not self.path(target).exists():
            return ServiceStatus(ServiceState.ABSENT)
        asked = self.here.run(("launchctl", "list", self.label(target)))
        return parsed(asked.out if asked.code == 0 else "")

    def _is_loaded(self, target: Target) -> bool:
        return self.here.run(("launchctl", "print", self._service(target))).code == 0

    def _domain(self, target: Target) -> str:
        return "system" if target.system else f"gui/{self.uid}"

    def _service(self, target: Target) -> str:
        return f"{self._domain(target)}/{self.label(target)}"


def parsed(listed: str) -> ServiceStatus:
    """`launchctl list LABEL`; empty where it is not loaded."""
    pid, ended = _PID.search(listed), _EXIT.search(listed)
    if pid:
        return ServiceStatus(ServiceState.RUNNING, True, int(pid[1]))
    if ended and int(ended[1]) != 0:
        return ServiceStatus(ServiceState.FAILED, True, detail=f"ended with status {ended[1]}")
    return ServiceStatus(ServiceState.STOPPED, True)

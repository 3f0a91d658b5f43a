"""systemd(1): a unit of the machine, or one of the user's own manager."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local_swarm.service.base import Surroundings
from local_swarm.service.files import filled, reading, remove, write
from local_swarm.service.service import (
    Service,
    ServiceState,
    ServiceStatus,
    Target,
    UnitFile,
)
from local_swarm.service.wanted import check_open

STATES = {
    "active": ServiceState.RUNNING,
    "reloading": ServiceState.RUNNING,
    "activating": ServiceState.STARTING,
    "deactivating": ServiceState.STOPPING,
    "failed": ServiceState.FAILED,
}
GPU_GROUPS = ("video", "render")
PROPERTIES = "LoadState,ActiveState,UnitFileState,MainPID,NRestarts,StatusText,Result"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_PLAIN = re.compile(r"[\w./:=,+@-]+\Z", re.ASCII)
STOP_CALL_S = 3600.0  # systemd itself ends what takes too long to stop
START_CALL_S = 3600.0  # and what takes too long to start


@dataclass(frozen=True, slots=True)
class Systemd:
    """`systemctl`, and `systemctl --user` for a service of the user."""

    here: Surroundings = field(default_factory=Surroundings)
    name: str = "systemd"

    def missing(self, system: bool) -> str | None:
        if not (self.here.root / "run/systemd/system").is_dir():
            return "systemd does not run this machine"
        if not system and self.here.run(("systemctl", "--user", "show", "--property=Version")).code:
            return "your user has no systemd of its own in this session"
        return None

    def own_directory(self, target: Target, user: str) -> str | None:
        return f"/var/lib/{target.unit}" if target.system and not user else None

    def path(self, target: Target) -> Path:
        file = f"{target.unit}.service"
        if target.system:
            return self.here.root / "etc/systemd/system" / file
        config = self.here.env.get("XDG_CONFIG_HOME") or self.here.home / ".config"
        return Path(config) / "systemd/user" / file

    def logs(self, target: Target) -> str:
        return f"journalctl {'' if target.system else '--user '}-u {target.unit}"

    def files(self, service: Service) -> tuple[UnitFile, ...]:
        target = service.target
        values = {
            "unit": f"{target.unit}.service",
            "command": command_line(service.command),
            "environment": environment_lines(service.environment),
            "stop_s": str(service.longest_stop_s),
        }
        if not target.system:
            return (UnitFile(self.path(target), filled("systemd-user.service", values)),)
        values["identity"] = "\n".join(identity(service, _gpu_groups(), _modprobe()))
        values["protect_system"] = "full" if service.user else "strict"
        return (UnitFile(self.path(target), filled("systemd-system.service", values)),)

    def read(self, target: Target) -> Service:
        path = self.path(target)
        with reading(path):
            return described(target, path.read_text(encoding="utf-8"))

    def install(self, service: Service) -> tuple[str, ...]:
        target = service.target
        self.here.needs_root(target.system)
        if self.own_directory(target, service.user):
            check_open(service.reads, target)
        files = self.files(service)
        write(files)
        self._ctl(target, "daemon-reload")
        self._ctl(target, "enable", f"{target.unit}.service")
        said = [f"Wrote {file.path}." for file in files]
        if target.system:
            return (*said, "It starts with the machine.")
        return (*said, "It starts when you log in.", *self._lingering())

    def _lingering(self) -> tuple[str, ...]:
        # Without a name it would tell of the login manager, which has no such property.
        whose = ("loginctl", "show-user", str(os.getuid()))
        asked = self.here.run((*whose, "--property=Linger", "--value"))
        if asked.out.strip() == "yes":
            return ("It keeps running when you log out, and starts with the machine (linger).",)
        return (
            "It ends when you log out; `loginctl enable-linger` keeps it running, and starts it"
            " with the machine.",
        )

    def uninstall(self, target: Target) -> bool:
        self.here.needs_root(target.system)
        path = self.path(target)
        if not path.exists():
            return False
        unit = f"{target.unit}.service"
        self._ctl(target, "disable", "--now", unit, timeout_s=STOP_CALL_S)
        remove(path)
        self._ctl(target, "daemon-reload")
        self.here.run(self._argv(target, "reset-failed", unit))  # fails where it had not failed
        return True

    def start(self, target: Target) -> None:
        self.here.needs_root(target.system)
        unit = f"{target.unit}.service"
        # Or a service that has failed too often could not be started for the next ten minutes.
        self.here.run(self._argv(target, "reset-failed", unit))
        self._ctl(target, "start", unit, timeout_s=START_CALL_S)

    def stop(self, target: Target) -> None:
        self.here.needs_root(target.system)
        self._ctl(target, "stop", f"{target.unit}.service", timeout_s=STOP_CALL_S)

    def restart(self, target: Target) -> None:
        self.here.needs_root(target.system)
        self._ctl(target, "restart", f"{target.unit}.service", timeout_s=STOP_CALL_S)

    def status(self, target: Target) -> ServiceStatus:
        return parsed(self._ctl(target, "show", f"{target.unit}.service", f"-p{PROPERTIES}"))

    def _argv(self, target: Target, *words: str) -> Sequence[str]:
        return ("systemctl", *(() if target.system else ("--user",)), *words)

    def _ctl(self, target: Target, *words: str, timeout_s: float = 30.0) -> str:
        return self.here.checked(*self._argv(target, *words), timeout_s=timeout_s)


def identity(service: Service, groups: Sequence[str], modprobe: str | None) -> list[str]:
    """Who runs a service of the machine, and where that user may write.

    Without a user systemd makes one for it, who owns nothing but the service's own directory and
    has no rights beyond opening the GPUs' devices.
    """
    lines = []
    if modprobe:
        # Makes the devices that CUDA needs, which only root can; the service itself may not.
        lines.append(f"ExecStartPre=-+{modprobe} -c 0 -u")
    if service.user:
        return [*lines, f"User={service.user}"]
    unit = service.target.unit
    if groups:
        lines.append(f"SupplementaryGroups={' '.join(groups)}")
    return [
        *lines,
        "DynamicUser=yes",
        f"StateDirectory={unit}",
        "StateDirectoryMode=0700",
        "CapabilityBoundingSet=",
        "ProtectProc=invisible",
    ]


def command_line(command: Sequence[str]) -> str:
    """An ExecStart: every word quoted, and nothing in it expanded (systemd.service(5))."""
    return " ".join(_quoted(word).replace("$", "$$") for word in command)


def environment_lines(environment: Mapping[str, str]) -> str:
    return "\n".join(
        f"Environment={_quoted(f'{key}={value}')}" for key, value in sorted(environment.items())
    )


def _quoted(word: str) -> str:
    if _PLAIN.match(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("%", "%%")}"'


def described(target: Target, unit: str) -> Service:
    """What a unit of ours was made for. Raises LookupError and ValueError for one of others."""
    lines = [line.partition("=") for line in unit.split("\n")]
    found = {key: value for key, _, value in lines}
    settings = [_plain(value).partition("=") for key, _, value in lines if key == "Environment"]
    return Service(
        target,
        command=tuple(
            _plain(word.replace("$$", "$")) for word in _WORD.findall(found["ExecStart"])
        ),
        user=found.get("User", ""),
        environment={key: value for key, _, value in settings},
        stop_s=Service.stop_s_of(float(found["TimeoutStopSec"])),
    )


def _plain(word: str) -> str:
    """The inverse of `_quoted`."""
    if not word.startswith('"'):
        return word
    text = word[1:-1].replace("%%", "%")
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def parsed(shown: str) -> ServiceStatus:
    """`systemctl show`, one KEY=VALUE a line, in our words."""
    found = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if found.get("LoadState") == "not-found":
        return ServiceStatus(ServiceState.ABSENT)
    state = STATES.get(found.get("ActiveState", ""), ServiceState.STOPPED)
    result = found.get("Result", "success")
    return ServiceStatus(
        state=state,
        enabled=found.get("UnitFileState") == "enabled",
        pid=int(found.get("MainPID", "0")) or None,
        restarts=int(found.get("NRestarts", "0")),
        detail=found.get("StatusText") or ("" if result == "success" else result),
    )


def _gpu_groups() -> tuple[str, ...]:
    """Those of the usual groups that exist here: systemd starts nothing in one that does not."""
    try:
        import grp
    except ImportError:  # Windows, where `print` may show a unit for another machine
        return ()
    return tuple(g.gr_name for g in grp.getgrall() if g.gr_name in GPU_GROUPS)


def _modprobe() -> str | None:
    return shutil.which("nvidia-modprobe")

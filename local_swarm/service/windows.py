"""Windows' Task Scheduler: a task at logon, or at the machine's start.

Written after the Task Scheduler schema and the documentation of schtasks; never seen on a real
Windows. The scheduler ends a task by ending its process: requests in flight are cut off. Workers do
not outlive it (the supervisor's Job Object).
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from local_swarm.service.base import Surroundings
from local_swarm.service.files import reading, remove, template, write
from local_swarm.service.service import (
    Service,
    ServiceError,
    ServiceState,
    ServiceStatus,
    Target,
    UnitFile,
)
from local_swarm.service.windowless import split

SPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
STATES = {1: ServiceState.STOPPED, 2: ServiceState.STARTING, 4: ServiceState.RUNNING}
"""Of Get-ScheduledTask: 1 disabled, 2 queued, 3 ready, 4 running."""

# In numbers: what schtasks prints is in the user's language.
_ASK = (
    "$t = Get-ScheduledTask -TaskName '{unit}' -ErrorAction Stop;"
    " @{{state=[int]$t.State; enabled=$t.Settings.Enabled;"
    " result=($t | Get-ScheduledTaskInfo).LastTaskResult}} | ConvertTo-Json"
)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
NEVER_RAN = 0x41303  # SCHED_S_TASK_HAS_NOT_RUN
RUNS = 0x41301  # SCHED_S_TASK_RUNNING
ENDED_BY_USER = 0x41306  # SCHED_S_TASK_TERMINATED


@dataclass(frozen=True, slots=True)
class TaskScheduler:
    """`schtasks`, with one task in the scheduler's own folder."""

    here: Surroundings = field(default_factory=Surroundings)
    name: str = "windows"

    def missing(self, system: bool) -> str | None:
        is_there = self.here.run(("schtasks", "/?")).code == 0
        return None if is_there else "there is no Task Scheduler"

    def folder(self) -> Path:
        base = self.here.env.get("LOCALAPPDATA") or self.here.home / "AppData/Local"
        return Path(base) / "local_swarm" / "service"

    def own_directory(self, target: Target, user: str) -> str | None:
        return None

    def path(self, target: Target) -> Path:
        return self.folder() / f"{target.unit}.xml"

    def logs(self, target: Target) -> str:
        return str(self.folder() / f"{target.unit}.log")

    def files(self, service: Service) -> tuple[UnitFile, ...]:
        return (UnitFile(self.path(service.target), self.task(service)),)

    def task(self, service: Service) -> bytes:
        """The task. One of the machine runs without a logged-on user, and without a password kept
        (S4U); one of the user runs in the logged-on session, without a window."""
        target, user = service.target, service.user or self._user()
        ElementTree.register_namespace("", SPACE)
        root = ElementTree.fromstring(template("windows-task.xml"))
        _set(root, "RegistrationInfo/Description", f"Local Swarm ({target.unit})")
        _set(root, "Principals/Principal/UserId", user)
        logon = "S4U" if target.system else "InteractiveToken"
        _set(root, "Principals/Principal/LogonType", logon)
        triggers = _element(root, "Triggers")
        kind = "BootTrigger" if target.system else "LogonTrigger"
        trigger = ElementTree.SubElement(triggers, f"{{{SPACE}}}{kind}")
        ElementTree.SubElement(trigger, f"{{{SPACE}}}Enabled").text = "true"
        if not target.system:
            ElementTree.SubElement(trigger, f"{{{SPACE}}}UserId").text = user
        command = self.command(service)
        _set(root, "Actions/Exec/Command", command[0])
        _set(root, "Actions/Exec/Arguments", subprocess.list2cmdline(command[1:]))
        text = ElementTree.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-16"?>\n{text}\n'.encode("utf-16")

    def read(self, target: Target) -> Service:
        path = self.path(target)
        with reading(path):
            root = ElementTree.fromstring(path.read_bytes())
            told = words(_text(root, "Actions/Exec/Arguments"))
            settings, command = split(told[3:])
            python = Path(_text(root, "Actions/Exec/Command")).with_name("python.exe")
            is_of_machine = _text(root, "Principals/Principal/LogonType") == "S4U"
            return Service(
                Target(target.name, is_of_machine),
                command=(str(python), "-X", "faulthandler", "-m", "local_swarm", *command),
                user=_text(root, "Principals/Principal/UserId"),
                environment=settings,
            )

    def command(self, service: Service) -> list[str]:
        """The windowless interpreter, which has no output of its own, with a log instead."""
        python, *rest = service.command
        log = self.logs(service.target)
        windowless = str(Path(python).with_name("pythonw.exe"))
        # Without PATH: a task has the user's own, and a command line has an end.
        env = {key: value for key, value in service.environment.items() if key != "PATH"}
        settings = [f"{key}={value}" for key, value in sorted(env.items())]
        module = rest[rest.index("-m") + 2 :]
        return [windowless, "-m", "local_swarm.service.windowless", log, *settings, *module]

    def _user(self) -> str:
        env = self.here.env
        domain, user = env.get("USERDOMAIN", ""), env.get("USERNAME", "")
        return f"{domain}\\{user}" if domain else user

    def install(self, service: Service) -> tuple[str, ...]:
        files = self.files(service)
        write(files)
        unit, path = service.target.unit, files[0].path
        self.here.checked("schtasks", "/Create", "/TN", unit, "/XML", str(path), "/F")
        when = "with the machine" if service.target.system else "when you log on"
        return (f"Made the task {unit} from {path}.", f"It starts {when}.")

    def uninstall(self, target: Target) -> bool:
        if self.status(target).state is ServiceState.ABSENT:
            return False
        self.stop(target)
        self.here.checked("schtasks", "/Delete", "/TN", target.unit, "/F")
        remove(self.path(target))
        return True

    def start(self, target: Target) -> None:
        self.here.checked("schtasks", "/Run", "/TN", target.unit)

    def stop(self, target: Target) -> None:
        self.here.checked("schtasks", "/End", "/TN", target.unit)

    def restart(self, target: Target) -> None:
        self.stop(target)
        self.start(target)

    def status(self, target: Target) -> ServiceStatus:
        script = _ASK.format(unit=target.unit)
        asked = self.here.run(("powershell", "-NoProfile", "-NonInteractive", "-Command", script))
        return parsed(asked.out) if asked.code == 0 else ServiceStatus(ServiceState.ABSENT)


def parsed(shown: str) -> ServiceStatus:
    """The answer to `_ASK`. Raises ServiceError where it is none."""
    try:
        told = json.loads(shown)
        state, result = int(told["state"]), int(told["result"]) & 0xFFFFFFFF
    except (ValueError, KeyError, TypeError) as exc:
        raise ServiceError("The Task Scheduler's answer cannot be read.") from exc
    enabled = bool(told.get("enabled"))
    if state in STATES:
        return ServiceStatus(STATES[state], enabled)
    if result in (0, NEVER_RAN, RUNS, ENDED_BY_USER):
        return ServiceStatus(ServiceState.STOPPED, enabled)
    return ServiceStatus(ServiceState.FAILED, enabled, detail=f"ended with code {result:#x}")


def words(line: str) -> list[str]:
    """The inverse of `subprocess.list2cmdline`, for lines that it has made."""
    return [_plain(word) for word in _WORD.findall(line)]


def _plain(word: str) -> str:
    """Backslashes are doubled before a quote, of those that are meant and of the last one."""
    is_quoted = word.startswith('"')
    text = word[1:-1] if is_quoted else word
    text = re.sub(r'(\\*)\\"', lambda found: found[1][: len(found[1]) // 2] + '"', text)
    if not is_quoted:
        return text
    return re.sub(r"\\+\Z", lambda found: found[0][: len(found[0]) // 2], text)


def _text(root: ElementTree.Element, path: str) -> str:
    return _element(root, path).text or ""


def _element(root: ElementTree.Element, path: str) -> ElementTree.Element:
    found = root.find("/".join(f"{{{SPACE}}}{part}" for part in path.split("/")))
    if found is None:
        raise LookupError(path)
    return found


def _set(root: ElementTree.Element, path: str, text: str) -> None:
    _element(root, path).text = text

"""One file with what a bug report needs, and nothing that is nobody else's business."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from local_swarm import __version__, hardware
from local_swarm.config.paths import chosen
from local_swarm.config.show import rows
from local_swarm.errors import LocalSwarmError, UsageError
from local_swarm.swarm import watching
from local_swarm.swarm.crashes import CrashFile
from local_swarm.swarm.doctor import secrets, versions
from local_swarm.swarm.doctor.finding import Context, Finding
from local_swarm.swarm.doctor.scrub import Scrubber, without_prompts
from local_swarm.swarm.log_files import tail, worker_logs
from local_swarm.swarm.machine import found
from local_swarm.swarm.planning import plan_document, prepare

LINES = 500  # of each log
MOST_SWARMS = 3  # whose logs are taken, the latest ones
SWARM = "swarm"  # the supervisor's own log among the workers'
FOLDER = "lswarm-report"
KINDS = (".zip", ".tar.gz", ".tgz")

README = """What `lswarm doctor --bundle` found on one machine, for a bug report.

Prompts, answers, keys, the user's name and home directory were taken out as far as they are known:
[hidden] stands for a key, ~ for the home directory, [left out: ...] for log lines that may hold a
prompt. Please look through the files before you send them to anybody.
"""
PROMPTS_SHOWN = "[left out whole: logs.prompts is on]\n"


def refuse_bad_name(path: Path) -> None:
    """Raises UsageError for a name that cannot be written to."""
    if not path.name.endswith(KINDS):
        raise UsageError(f"{path.name} is no name for a bundle.", hint=f"End it in {KINDS[0]}.")
    if path.exists():
        raise UsageError(f"{path} exists already.", hint="Choose another name, or remove it.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"{path} cannot be written.", hint="Choose another directory.")


def write(path: Path, context: Context, findings: Sequence[Finding]) -> list[str]:
    """Writes the bundle, for this user alone, and returns the names of what is in it.

    Blocks for seconds: the engine may be asked for sizes. Raises UsageError where `path` is there
    already or cannot be written.
    """
    files = {name: text.encode() for name, text in _contents(context, findings)}
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o600)
    except OSError as exc:
        raise UsageError(f"{path} cannot be written: {exc.strerror}.") from exc
    try:
        with os.fdopen(handle, "wb") as file:
            (_zip if path.suffix == ".zip" else _tar)(file, files)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            path.unlink()
        if isinstance(exc, OSError):
            raise UsageError(f"{path} cannot be written: {exc.strerror}.") from exc
        raise
    return list(files)


_BINARY = getattr(os, "O_BINARY", 0)


def _contents(context: Context, findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    clean = secrets.scrubber(context)
    yield "README.txt", README
    yield "findings.json", clean.document([asdict(finding) for finding in findings])
    for name, ask in _documents(context).items():
        yield f"{name}.json", clean.document(_answer(ask))
    for name, text in _logs(context, clean):
        yield f"logs/{name}", text


def _documents(context: Context) -> Mapping[str, Callable[[], Any]]:
    return {
        "versions": _versions,
        "settings": lambda: _settings(context),
        "hardware": lambda: _hardware(context),
        "plan": lambda: plan_document(prepare(context.config, unseen=True)),
        "status": lambda: _status(context),
        "crashes": lambda: _crashes(context),
    }


def _answer(ask: Callable[[], Any]) -> Any:
    """What could be learned, or why it could not: a report is asked for when things are wrong."""
    try:
        return ask()
    except LocalSwarmError as exc:
        return {"error": str(exc)}
    except Exception as exc:
        return {"error": f"{type(exc).__name__}: {exc}"}


def _versions() -> dict[str, Any]:
    return {
        "local_swarm": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": versions.packages(),
    }


def _settings(context: Context) -> dict[str, Any]:
    if context.problem is not None:
        return {"error": str(context.problem)}
    return {row.key: {"value": row.value, "origin": row.origin} for row in rows(context.loaded)}


def _hardware(context: Context) -> dict[str, Any]:
    machine = found(context.config.engine.name, context.config.engine.path)
    return {**hardware.to_dict(machine.host), "notes": list(machine.notes)}


def _status(context: Context) -> dict[str, Any]:
    alive = [run for run in context.runs() if run.supervisor.process() is not None]
    return {run.url: _answer(lambda run=run: watching.status_of(run)) for run in alive}  # type: ignore[misc]


def _crashes(context: Context) -> list[dict[str, Any]]:
    crashes = CrashFile.of(context.paths).read()
    return [{**asdict(crash), "log": without_prompts(crash.log)} for crash in crashes]


def _logs(context: Context, clean: Scrubber) -> Iterator[tuple[str, str]]:
    """The ends of the logs of the latest swarms, and of those swarms' workers."""
    own = context.paths.state / "logs"
    directory = chosen(context.config.logs.dir, own)
    shown = context.config.logs.prompts
    for path in _latest(own.glob("starting-*.log")):  # of starts that did not get far
        yield path.name, PROMPTS_SHOWN if shown else clean.lines(_tail(path))
    for folder in _latest(each for each in directory.glob("*") if each.is_dir()):
        for worker, path in worker_logs(folder).items():
            is_out = shown and worker == SWARM
            text = PROMPTS_SHOWN if is_out else clean.lines(_tail(path))
            yield f"{folder.name}/{worker}.log", text


def _latest(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=_written_at)[-MOST_SWARMS:]


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # a swarm that starts moves its log
        return 0.0


def _tail(path: Path) -> tuple[str, ...]:
    try:
        return tail(path, LINES).lines
    except OSError as exc:
        return (f"[cannot be read: {exc.strerror}]",)


def _zip(file: io.BufferedWriter, files: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{FOLDER}/{name}", content)


def _tar(file: io.BufferedWriter, files: Mapping[str, bytes]) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{FOLDER}/{name}")
            entry.size, entry.mtime = len(content), int(time.time())
            archive.addfile(entry, io.BytesIO(content))

"""Templates (`conf/service`) in, unit files out."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from local_swarm.service.service import ServiceError, UnitFile


def template(name: str) -> bytes:
    """A file of `conf/service`, which an installed package carries within this room."""
    inside = Path(str(resources.files("local_swarm.service"))) / "units" / name
    beside = Path(__file__).parents[2] / "conf" / "service" / name
    return (inside if inside.is_file() else beside).read_bytes()


def filled(name: str, values: Mapping[str, str]) -> bytes:
    """The template with each `@key@` replaced; a line that becomes empty is left out."""
    lines = []
    for line in template(name).decode().splitlines():
        written = line
        for key, value in values.items():
            written = written.replace(f"@{key}@", value)
        if written or not line:
            lines.append(written)
    return ("\n".join(lines) + "\n").encode()


def write(files: Iterable[UnitFile]) -> None:
    """Replaces each file as a whole. Raises ServiceError where one cannot be written."""
    for file in files:
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(file)
        except OSError as exc:
            raise ServiceError(f"Cannot write {file.path}: {exc.strerror or exc}.") from exc


def _replace(file: UnitFile) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.path.parent, prefix=f".{file.path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(file.content)
        os.chmod(temporary, file.mode)
        os.replace(temporary, file.path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def remove(path: Path) -> bool:
    """Deletes the file; False where there is none. Raises ServiceError where it cannot."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise ServiceError(f"Cannot remove {path}: {exc.strerror or exc}.") from exc
    return True

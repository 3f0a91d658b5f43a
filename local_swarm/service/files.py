"""Templates (`conf/service`) in, unit files out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path

from local_swarm.service.service import ServiceError, UnitFile
from local_swarm.storage import replace_file


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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises ServiceError where what is read inside is not there, or not ours."""
    try:
        yield
    except OSError as exc:
        raise ServiceError(f"Cannot read {path}: {exc.strerror or exc}.") from exc
    except (ValueError, LookupError, TypeError, AttributeError, SyntaxError) as exc:
        raise ServiceError(f"{path} is not what `lswarm service install` wrote.") from exc


def write(files: Iterable[UnitFile]) -> None:
    """Replaces each file as a whole. Raises ServiceError where one cannot be written."""
    for file in files:
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file.path, file.content, mode=file.mode)
        except OSError as exc:
            raise ServiceError(f"Cannot write {file.path}: {exc.strerror or exc}.") from exc


def remove(path: Path) -> bool:
    """Deletes the file; False where there is none. Raises ServiceError where it cannot."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise ServiceError(f"Cannot remove {path}: {exc.strerror or exc}.") from exc
    return True

"""Python, the program itself and the packages it needs."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from local_swarm import __version__
from local_swarm.swarm.doctor.finding import Context, Finding, error, ok, warning

PACKAGE = "local_swarm"
TESTED = ((3, 10), (3, 13))
UPGRADE = "Run `pip install --upgrade local_swarm` in the environment of this Python."


def check(context: Context) -> Iterator[Finding]:
    yield ok(f"local_swarm {__version__} on {platform.python_implementation()} {_python()}.")
    if not TESTED[0] <= sys.version_info[:2] <= TESTED[1]:
        first, last = (".".join(map(str, version)) for version in TESTED)
        yield warning(
            f"Python {_python()} is not one it was tested on.", f"Use Python {first} to {last}."
        )
    if sys.maxsize < 1 << 32:
        yield error("This is a 32-bit Python, for which no engine is made.", "Use a 64-bit one.")
    missing = [name for name, version in packages().items() if version is None]
    if missing:
        yield error(f"Packages are missing: {', '.join(missing)}.", UPGRADE)


def packages() -> dict[str, str | None]:
    """What the program needs, each with the version that is installed; None for what is not."""
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return {}
    return {name: _version(name) for name in filter(None, map(needed, wanted))}


def needed(requirement: str) -> str | None:
    """`'tomli>=2; python_version < "3.11"'` -> `'tomli'`; None for what an extra or another Python
    would need."""
    name, _, marker = requirement.partition(";")
    older = re.search(r"python_version\s*<\s*['\"](\d+)\.(\d+)['\"]", marker)
    is_for_others = older and sys.version_info[:2] >= (int(older[1]), int(older[2]))
    if "extra" in marker or is_for_others:
        return None
    match = re.match(r"[A-Za-z0-9._-]+", name.strip())
    return match[0] if match else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _python() -> str:
    return platform.python_version()

"""What kind of place this is: container, WSL, phone. Only ever notes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from local_swarm.hardware.values import read_text
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))


def check(context: Context) -> Iterator[Finding]:
    yield ok(f"{platform.system()} {platform.release()}, {platform.machine()}.")
    kernel = read_text(context.roots.proc / "version").lower()
    if "microsoft" in kernel:
        yield note(
            "This is WSL: Windows gives it a part of the RAM.",
            "Set `memory` in %UserProfile%\\.wslconfig where a model does not fit.",
        )
    if "TERMUX_VERSION" in context.environ:
        yield note(
            "This is Termux: Android ends programs that take much memory or run unseen.",
            "Hold a wake lock (`termux-wake-lock`) and stay with models of 1 to 3 B.",
        )
    if any(file.exists() for file in CONTAINER_FILES) or "container" in context.environ:
        yield note(
            "This is a container: its limits count, and devices are here only if it was given them."
        )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        yield note("The program runs as root, which it has no need of.", "Use a user of its own.")

"""litellm's proxy for comparison, in an environment of its own under the user's cache."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import platformdirs

PACKAGE = "litellm[proxy]"
INSTALL_S = 300


def environment() -> Path:
    return Path(platformdirs.user_cache_dir("local-swarm-bench")) / "litellm"


def python_of(wish: str) -> Path | None:
    """The Python to run litellm with, as `--litellm` says: the path of one that has it, "off",
    or "auto" (the one in the cache if it is there, "install" makes it, about a minute)."""
    if wish == "off":
        return None
    if wish == "install":
        install()
    python = environment() / "bin" / "python" if wish in ("auto", "install") else Path(wish)
    return python if python.with_name("litellm").exists() else None


def install() -> None:
    """Does nothing where it is there. Raises CalledProcessError or TimeoutExpired."""
    target = environment()
    if (target / "bin" / "litellm").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(target)], check=True)
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "--disable-pip-version-check", PACKAGE], check=True, timeout=INSTALL_S)


def config_text(upstream: str, key: str) -> str:
    """`key` is what it asks of its clients: it does not start without one."""
    return f"""\
model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: {upstream}/v1
      api_key: none
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
  num_retries: 0
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

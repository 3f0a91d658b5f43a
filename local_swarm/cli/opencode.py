"""`lswarm opencode`."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from local_swarm.cli import options
from local_swarm.errors import ConfigError

if TYPE_CHECKING:
    from local_swarm.config import Config

FILE = "opencode.json"
PROVIDER = "lswarm"
KEY = "{env:LSWARM_API_KEY}"  # opencode puts the variable's value in its place
LEAST_OUTPUT, USUAL_OUTPUT, MOST_OUTPUT = 1024, 3072, 16384  # 3072: a file of 300 lines
NEEDED_CTX = 10240  # opencode's own prompt and tools are about 7,200 tokens
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


@dataclass(frozen=True, slots=True)
class Target:
    """The swarm that opencode should talk to; `ctx` is tokens per slot."""

    url: str
    model: str
    ctx: int
    needs_key: bool
    running: bool


@click.command()
@click.option("--write", is_flag=True, help=f"Put it into ./{FILE}, keeping what is there.")
@click.option("--port", type=int, help="Which swarm, where several run.")
@options.as_json
@options.general
def opencode(
    config_path: str | None, verbose: bool, write: bool, port: int | None, json_: bool
) -> None:
    """Show how opencode reaches the swarm, or write it into this folder's opencode.json."""
    from local_swarm.telemetry import logs

    loaded = options.settings(config_path)
    logs.configure(level="debug" if verbose else "error")
    target = _running(port) or _planned(loaded.config)
    block = block_of(target)
    for remark in _remarks(target):
        _say(remark)
    path = Path.cwd() / FILE if write else None
    backup = None
    if path is not None:
        block, backup = merge_into(path, block)
        _say(f"Wrote {path}." + (f" What it said before is in {backup}." if backup else ""))
        for remark in _left_alone(path, block):
            _say(remark)
    if json_:
        written = {"path": path and str(path), "backup": backup and str(backup)}
        document = {"url": target.url, "running": target.running, **written, "config": block}
        click.echo(json.dumps(document, indent=2))
    elif path is None:
        click.echo(json.dumps(block, indent=2, ensure_ascii=False))


def block_of(target: Target) -> dict[str, Any]:
    """What opencode.json has to say: the provider, its two models, and which is used for what."""
    provider: dict[str, Any] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Local Swarm",
        "options": {"baseURL": f"{target.url}/v1"},
        "models": {},
    }
    if target.needs_key:
        provider["options"]["apiKey"] = KEY
    limit = {"context": target.ctx, "output": output_limit(target.ctx)}
    solo = f"{target.model}:solo"
    for model, name in ((target.model, target.model), (solo, f"{target.model} (one voter)")):
        provider["models"][model] = {"name": name, "limit": limit}
    return {
        "$schema": "https://opencode.ai/config.json",
        "model": f"{PROVIDER}/{target.model}",
        "small_model": f"{PROVIDER}/{solo}",
        "provider": {PROVIDER: provider},
    }


def output_limit(ctx: int) -> int:
    """Tokens of one answer. opencode asks for so many, and compacts a conversation as soon as
    less than that is left of the context; a small model that babbles goes on to the limit.

    So: an eighth of the context, but a file's worth where that is no more than a quarter."""
    return max(LEAST_OUTPUT, min(ctx // 4, USUAL_OUTPUT), min(ctx // 8, MOST_OUTPUT))


def merged(old: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    """`old` with the block in it. Our provider's values win; `model` and `small_model` that name
    another provider's are kept, and so is everything that we say nothing about."""
    result: dict[str, Any] = _overlaid(old, {"provider": block["provider"]})
    if "$schema" not in old:
        result = {"$schema": block["$schema"], **result}
    for key in ("model", "small_model"):
        if str(old.get(key) or f"{PROVIDER}/").startswith(f"{PROVIDER}/"):
            result[key] = block[key]
    return result


def _overlaid(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: _overlaid(old.get(key), value) for key, value in new.items()}}


def merge_into(path: Path, block: dict[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """Writes the file at once or not at all. Returns what it says now, and the backup that was
    made where a value of ours that differed was replaced. Raises ConfigError."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        text = path.read_text(encoding="utf-8").strip() or "{}"
        old = json.loads(text, object_pairs_hook=_object)
        if not isinstance(old, dict) or not isinstance(old.get("provider", {}), dict):
            raise ValueError("not an opencode configuration")
    except FileNotFoundError:
        old = {}
    except (OSError, ValueError, RecursionError) as exc:
        raise ConfigError(
            f"{path} cannot be changed: {exc}.",
            hint="Put in yourself what `lswarm opencode` prints (comments are not kept by us).",
        ) from exc
    new = merged(old, block)
    if new == old:
        return new, None
    backup = None
    try:
        if _replaces(old, new):
            backup = _back_up(path)
        _write(path, json.dumps(new, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"{path} cannot be written: {getattr(exc, 'strerror', None) or exc}.",
            hint="Run it in a folder that you may write to.",
        ) from exc
    return new, backup


def _replaces(old: Any, new: Any) -> bool:
    """Whether a value in `old` is another one in `new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return any(_replaces(value, new.get(key)) for key, value in old.items())
    return bool(old != new)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses what a rewrite would lose."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it names a key twice")
    return found


def _back_up(path: Path) -> Path:
    """A copy beside the file, under a name that nothing has: not even a link to elsewhere."""
    content, mode = path.read_bytes(), path.stat().st_mode & 0o7777  # there may be keys in it
    for number in itertools.count():
        backup = path.with_name(f"{path.name}.bak{number or ''}")
        with contextlib.suppress(FileExistsError):
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            return backup
    raise AssertionError("there is always another number")


def _write(path: Path, text: str) -> None:
    target = path.resolve()  # a link stays one
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, target.stat().st_mode & 0o7777 if target.exists() else _new_mode())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _new_mode() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _running(port: int | None) -> Target | None:
    """The running swarm, or None where none runs and none was named."""
    from local_swarm.config.paths import user_paths
    from local_swarm.errors import NotRunningError
    from local_swarm.swarm import control

    try:
        run = control.find(user_paths(), port)
    except NotRunningError:
        if port is not None:
            raise
        return None
    status = control.Client.of(run).status()
    try:
        control.Client(run.url, key="").status()
        needs_key = False
    except control.GatewayAnsweredError:
        needs_key = True
    ctx = min((worker["ctx"] for worker in status["workers"]), default=0)
    return Target(_reachable(run.url), status["model"], ctx, needs_key, running=True)


def _planned(config: Config) -> Target:
    """What `lswarm up` would start with these settings. Raises what planning raises."""
    from local_swarm.swarm.planning import prepare

    plan = prepare(config, unseen=True).plan
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    url = _reachable(f"http://{host}:{config.server.port}")
    needs_key = bool(config.server.api_keys)
    return Target(url, plan.model_id, plan.workers[0].ctx, needs_key, running=False)


def _reachable(url: str) -> str:
    """An address to call, where the swarm listens on all of them."""
    parts = urlsplit(url)
    host = ANY_ADDRESS.get(parts.hostname or "")
    return url if host is None else f"{parts.scheme}://{host}:{parts.port}"


def _remarks(target: Target) -> list[str]:
    said = []
    if not target.running:
        said.append(
            f"No swarm is running: this is what `lswarm up` would serve on {target.url}. With"
            " --model, --port or --ctx it is something else; run this again once it is up."
        )
    if target.needs_key:
        said.append("Set LSWARM_API_KEY to one of the swarm's keys where opencode runs.")
    if target.ctx < NEEDED_CTX:
        said.append(
            f"{target.ctx} tokens per slot are too few for opencode, which needs about"
            f" {NEEDED_CTX}: start with `lswarm up --ctx 16384`."
        )
    return said


def _left_alone(path: Path, now: dict[str, Any]) -> list[str]:
    said = [
        f"{key} stays {now[key]}: that is your choice, not ours."
        for key in ("model", "small_model")
        if not str(now[key]).startswith(f"{PROVIDER}/")
    ]
    other = path.with_suffix(".jsonc")
    if other.exists():
        said.append(f"opencode reads {other.name} here too, and what it says may win.")
    return said


def _say(text: str) -> None:
    print(f"lswarm: {text}", file=sys.stderr)

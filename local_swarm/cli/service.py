"""`lswarm service`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from local_swarm.cli import options

if TYPE_CHECKING:
    from local_swarm.service import Manager, Service, Target

F = TypeVar("F", bound=Callable[..., Any])

NOT_RUNNING = 8


@click.group()
def service() -> None:
    """Run the swarm as a service: started by the system, and kept running."""


def _named(command: F) -> F:
    """Which service is meant."""
    command = click.option(
        "--system", is_flag=True, help="A service of the machine, not of the user; needs root."
    )(command)
    return click.option(
        "--name", default="lswarm", metavar="NAME", help="Which, where there are several."
    )(command)


def _described(command: F) -> F:
    """What the service runs."""
    for option in reversed(
        [
            click.option("--model", "-m", metavar="M", help="The model to serve, as for `up`."),
            click.option("--port", type=click.IntRange(0, 65535), metavar="P", help="Its port."),
            click.option("--run-as", metavar="USER", help="With --system: whose rights it has."),
            click.argument("up_args", nargs=-1, type=click.UNPROCESSED),
        ]
    ):
        command = option(command)
    return command


@service.command("print")
@_named
@_described
@click.option("--manager", metavar="M", help="systemd, launchd, windows or termux.")
@options.general
def print_(
    config_path: str | None,
    verbose: bool,
    manager: str | None,
    name: str,
    system: bool,
    **asked: Any,
) -> None:
    """Show the unit that `install` would write, and touch nothing."""
    from local_swarm.errors import UsageError
    from local_swarm.service import MANAGERS, Surroundings, Target

    if manager is not None and manager not in MANAGERS:
        raise UsageError(
            f"There is no service manager {manager!r}.", hint=f"Known: {', '.join(MANAGERS)}."
        )
    chosen = MANAGERS[manager](Surroundings()) if manager else _manager()
    files = chosen.files(_wanted(chosen, Target(name, system), config_path, **asked))
    for file in files:
        if len(files) > 1:
            click.echo(f"# {file.path}", err=True)
        encoding = "utf-16" if file.content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        click.echo(file.content.decode(encoding), nl=False)


@service.command()
@_named
@_described
@options.general
def install(config_path: str | None, verbose: bool, name: str, system: bool, **asked: Any) -> None:
    """Have the system start a swarm from now on. What follows `--` goes to `lswarm up`.

    Again, with other options, it replaces the service. It does not start it now.
    """
    from local_swarm.service import Target, running

    target = Target(name, system)
    manager = running(_manager(), system)
    wanted = _wanted(manager, target, config_path, **asked)
    for line in manager.install(wanted):
        click.echo(line, err=True)
    click.echo(f"Start it now with `{_command('start', target)}`.", err=True)
    _tell_left_behind()


@service.command()
@_named
@options.general
def uninstall(config_path: str | None, verbose: bool, name: str, system: bool) -> None:
    """Stop the service and remove it. Settings, models and logs stay."""
    manager, target = _running(name, system)
    was_there = manager.uninstall(target)
    click.echo(
        f"Removed {manager.path(target)}." if was_there else f"{target.unit} was not installed.",
        err=True,
    )


@service.command()
@_named
@options.general
def start(config_path: str | None, verbose: bool, name: str, system: bool) -> None:
    """Start the service; under systemd it returns when the swarm is ready."""
    _act(lambda manager, target: manager.start(target), name, system)


@service.command()
@_named
@options.general
def stop(config_path: str | None, verbose: bool, name: str, system: bool) -> None:
    """Stop the service until it is started again; what it is answering is finished first."""
    _act(lambda manager, target: manager.stop(target), name, system)


@service.command()
@_named
@options.general
def restart(config_path: str | None, verbose: bool, name: str, system: bool) -> None:
    """Stop the service and start it. `lswarm restart` does it without an outage."""
    _act(lambda manager, target: manager.restart(target), name, system)


@service.command()
@_named
@options.as_json
@options.general
@click.pass_context
def status(
    ctx: click.Context,
    config_path: str | None,
    verbose: bool,
    name: str,
    system: bool,
    json_: bool,
) -> None:
    """Show what the service manager says; exits with 8 where the service does not run."""
    from local_swarm.service import ServiceState

    manager, target = _running(name, system)
    found = manager.status(target)
    path = str(manager.path(target)) if found.state is not ServiceState.ABSENT else None
    if json_:
        body = {
            "name": target.unit,
            "manager": manager.name,
            "system": system,
            "state": found.state.value,
            "enabled": found.enabled,
            "pid": found.pid,
            "restarts": found.restarts,
            "detail": found.detail,
            "unit": path,
            "logs": manager.logs(target),
        }
        click.echo(json.dumps(body, indent=2))
    else:
        pid = f" (pid {found.pid})" if found.pid else ""
        detail = f": {found.detail}" if found.detail else ""
        click.echo(f"{target.unit} is {found.state.value}{pid}{detail}")
        if path:
            by_itself = "starts by itself" if found.enabled else "does not start by itself"
            click.echo(f"{by_itself}; unit: {path}; logs: {manager.logs(target)}")
    ctx.exit(0 if found.state is ServiceState.RUNNING else NOT_RUNNING)


def _manager() -> Manager:
    from local_swarm.service import Surroundings, usual

    return usual(Surroundings())


def _running(name: str, system: bool) -> tuple[Manager, Target]:
    """The manager that is here, and the service meant. Raises NoServiceManager."""
    from local_swarm.service import Target, running

    return running(_manager(), system), Target(name, system)


def _act(act: Callable[[Manager, Target], None], name: str, system: bool) -> None:
    from local_swarm.errors import NotRunningError
    from local_swarm.service import ServiceError

    manager, target = _running(name, system)
    if not manager.path(target).exists():
        raise NotRunningError(
            f"There is no service {target.unit}.",
            hint=f"Make it with `{_command('install', target)}`.",
        )
    try:
        act(manager, target)
    except ServiceError as exc:
        exc.hint = f"What it said: {manager.logs(target)}"
        raise
    click.echo(f"{target.unit} is {manager.status(target).state.value}.", err=True)


def _command(what: str, target: Target) -> str:
    """The command as the user would write it for this service."""
    from local_swarm.service import PROGRAM

    named = "" if target.name == PROGRAM else f" --name {target.name}"
    return f"lswarm service {what}{' --system' if target.system else ''}{named}"


def _wanted(
    manager: Manager,
    target: Target,
    config_path: str | None,
    model: str | None,
    port: int | None,
    run_as: str | None,
    up_args: tuple[str, ...],
) -> Service:
    """The service that is asked for, its settings checked as it will see them. Raises UsageError,
    ConfigError."""
    from local_swarm.errors import UsageError
    from local_swarm.service import Service, wanted

    if run_as and not target.system:
        raise UsageError("--run-as is for a service of the machine.", hint="Add --system.")
    if run_as:
        wanted.check_user(run_as)
    config_path = config_path or os.environ.get("LSWARM_CONFIG") or None
    config = Path(os.path.abspath(os.path.expanduser(config_path))) if config_path else None
    model = wanted.absolute_model(model)
    words = wanted.up_words(up_args, config=config, port=port, model=model)
    own = manager.own_directory(target, run_as or "")
    env = wanted.own_environment(own) if own else wanted.environment(os.environ)
    files = (sys.executable, __file__, config, model)
    return Service(
        target,
        command=(*wanted.program(sys.executable), *words),
        user=run_as or "",
        environment=env,
        stop_s=_checked_settings(words[1:], env),
        reads=tuple(Path(file) for file in files if file and os.path.isfile(file)),
    )


def _checked_settings(up_args: tuple[str, ...], env: dict[str, str]) -> float:
    """`stop_timeout_s` of a swarm started with these flags and this environment, from `/`. Raises
    what `lswarm up` would: a wrong flag or setting is found now, not in the service's log."""
    from local_swarm.cli.up import up
    from local_swarm.config import load
    from local_swarm.errors import UsageError

    params = up.make_context("lswarm up", list(up_args)).params
    if params["detach"]:
        raise UsageError("A service is not detached.", hint="Leave --detach out.")
    flags = {options.SETTINGS[k]: v for k, v in params.items() if k in options.SETTINGS}
    loaded = load(flags=flags, config_path=params["config_path"], env=env, cwd=Path("/"))
    return loaded.config.swarm.stop_timeout_s


def _tell_left_behind() -> None:
    from local_swarm.service.wanted import left_behind

    if names := left_behind(os.environ):
        click.echo(
            f"Set here, and not in the service: {', '.join(names)}. Put it into a settings file.",
            err=True,
        )

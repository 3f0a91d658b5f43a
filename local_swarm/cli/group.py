"""The top-level command and the table of its subcommands."""

from __future__ import annotations

import importlib

import click

from local_swarm import __version__

COMMANDS = {
    "ask": "local_swarm.cli.ask:ask",
    "config": "local_swarm.cli.config:config",
    "doctor": "local_swarm.cli.doctor:doctor",
    "down": "local_swarm.cli.down:down",
    "estimate": "local_swarm.cli.estimate:estimate",
    "eval": "local_swarm.cli.eval:evaluate",
    "hardware": "local_swarm.cli.hardware:hardware",
    "logs": "local_swarm.cli.logs:logs",
    "models": "local_swarm.cli.models:models",
    "opencode": "local_swarm.cli.opencode:opencode",
    "plan": "local_swarm.cli.plan:plan",
    "reload": "local_swarm.cli.reload:reload",
    "restart": "local_swarm.cli.restart:restart",
    "scale": "local_swarm.cli.scale:scale",
    "service": "local_swarm.cli.service:service",
    "status": "local_swarm.cli.status:status",
    "up": "local_swarm.cli.up:up",
}
"""Name -> `module:command`. A command's module is imported only when it is used."""

HELP = {
    "ask": "Ask the swarm one question and see how it voted.",
    "config": "Show the settings and where each comes from.",
    "doctor": "Look for what is wrong here, and say what to do.",
    "down": "Stop the running swarm.",
    "estimate": "Show what a model takes in memory.",
    "eval": "Measure what voting gives.",
    "hardware": "Show what this machine has.",
    "logs": "Show what the workers wrote.",
    "models": "Show, download and remove models.",
    "opencode": "Show or write opencode's configuration.",
    "plan": "Show what would run here, and why.",
    "reload": "Apply the changed configuration to the running swarm.",
    "restart": "Restart the workers of the running swarm, one at a time.",
    "scale": "Change how many workers run.",
    "service": "Run the swarm as a service of the system.",
    "status": "Show the running swarm.",
    "up": "Start a swarm and serve until stopped.",
}


class LazyGroup(click.Group):
    """Knows the names and one-line helps of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        target = COMMANDS.get(name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, HELP[name]) for name in self.list_commands(ctx)])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--detect", is_flag=True, help="The same as `lswarm hardware`.")
@click.option("--download-only", is_flag=True, help="The same as `lswarm models pull`.")
@click.option("--model", "-m", metavar="M", help="What --download-only downloads.")
@click.pass_context
def lswarm(ctx: click.Context, detect: bool, download_only: bool, model: str | None) -> None:
    """Turns the hardware at hand into a voting swarm of small coding models behind one
    OpenAI-compatible port."""
    if ctx.invoked_subcommand is not None:
        _refuse_beside_command(detect or download_only or model is not None)
    elif detect:
        ctx.invoke(_command(ctx, "hardware"), config_path=None, verbose=False, json_=False)
    elif download_only:
        from local_swarm.cli.models import download

        download(None, (model,) if model else ())
    else:
        click.echo(ctx.get_help())


def _refuse_beside_command(given: bool) -> None:
    if given:
        raise click.UsageError("--detect, --download-only and --model are used without a command.")


def _command(ctx: click.Context, name: str) -> click.Command:
    command = LazyGroup.get_command(lswarm, ctx, name)
    assert command is not None
    return command

"""`lswarm doctor`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from local_swarm.cli import options

if TYPE_CHECKING:
    from local_swarm.swarm.doctor import Context


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="The swarm that is meant.")
@click.option(
    "--bundle", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Write what a bug report needs to FILE (.zip or .tar.gz), without prompts or keys.",
)  # fmt: skip
@options.as_json
@options.general
def doctor(
    config_path: str | None, verbose: bool, port: int | None, bundle: Path | None, json_: bool
) -> None:
    """Look for what is wrong here, and say what to do about each of it.

    Ends with 0 unless there is an error; then with the exit code that `lswarm up` would have.
    """
    from local_swarm.cli.render import doctor as render
    from local_swarm.swarm.doctor import CHECKS, examine, exit_code
    from local_swarm.swarm.doctor import bundle as bundles

    if bundle is not None:
        bundles.refuse_bad_name(bundle)
    context = _context(config_path, port)
    findings = examine(context, CHECKS)
    if json_:
        click.echo(json.dumps({"findings": [asdict(f) for f in findings]}, indent=2))
    else:
        render.findings(findings)
    if bundle is not None:
        render.collecting()
        render.bundled(bundle, bundles.write(bundle, context, findings))
    sys.exit(exit_code(findings))


def _context(config_path: str | None, port: int | None) -> Context:
    """The settings, or the defaults and why it is not them."""
    from local_swarm.config import Loaded, user_paths
    from local_swarm.errors import LocalSwarmError
    from local_swarm.swarm.doctor import Context

    try:
        loaded, problem = options.settings(config_path), None
    except LocalSwarmError as wrong:
        loaded, problem = Loaded(), wrong
    return Context(loaded, user_paths(), problem, port, config_path)

"""`lswarm eval`."""

from __future__ import annotations

import json
from typing import Any

import click

from local_swarm.cli import options

SAMPLES = 8


@click.command(name="eval")
@click.option("--live", is_flag=True, required=True, help="Ask a model and run unit tests.")
@click.option("--tasks", default=300, show_default=True, help="Held-out tasks to ask.")
@click.option("--seed", default=1, show_default=True, help="Which tasks, and which samples.")
@click.option("--temperature", default=0.8, show_default=True, help="Of the samples.")
@click.option("--strategy", metavar="S", default="auto", show_default=True)
@options.planning
@options.as_json
@options.general
def evaluate(
    config_path: str | None,
    verbose: bool,
    live: bool,
    tasks: int,
    seed: int,
    temperature: float,
    strategy: str,
    json_: bool,
    model: str | None,
    **flags: Any,
) -> None:
    """Measure what voting gives: one sample, votes of 3, 5 and 8, the best possible pick.

    Asks held-out tasks of the builtin model (also of another, with --model), eight samples each,
    and runs each task's unit tests on every answer.
    """
    from local_swarm.cli import render
    from local_swarm.cli.progress import progress
    from local_swarm.cli.temporary import with_swarm
    from local_swarm.evals import live as room
    from local_swarm.evals.tasks import held_out
    from local_swarm.telemetry import logs

    logs.configure(level="debug" if verbose else "error")
    flags = {**flags, "voters": flags.get("voters") or SAMPLES, "port": 0}
    loaded = options.settings(config_path, **flags)
    questions = held_out(seed, tasks)
    with progress("tasks", len(questions)) as advance:
        outcomes = with_swarm(
            loaded.config,
            model,
            lambda client: room.run(
                client.chat,
                questions,
                samples=SAMPLES,
                seed=seed,
                temperature=temperature,
                strategy=strategy,
                advance=advance,
            ),
        )
    document = room.summary(outcomes, seed=seed, strategy=strategy)
    document.update(model=model or "builtin:demo", temperature=temperature)
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        render.evaluation(document)

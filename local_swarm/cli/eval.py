"""`lswarm eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from local_swarm.cli import options
from local_swarm.errors import UsageError

if TYPE_CHECKING:
    from local_swarm.evals.data import Problem
    from local_swarm.evals.draws import Item

SAMPLES = 8
MANY = click.IntRange(min=1)
LIVE_SEED, DATA_SEED = 1, 7
ONLY_LIVE = frozenset(
    {"tasks", "temperature", "model", "workers", "slots", "ctx", "voters", "layout", "engine"}
)
ONLY_DATA = frozenset(
    {"counts", "draws", "source", "execute", "hide_examples", "mix", "weigh", "limit", "jobs"}
)


@click.command(name="eval")
@click.option("--live", is_flag=True, help="Ask a model and run unit tests.")
@click.option("--data", "path", metavar="FILE", type=Path, help="Vote on answers that were graded.")
@click.option("--strategy", "strategies", metavar="S", multiple=True, help="Default: auto.")
@click.option("--seed", type=int, help="Which tasks, samples and draws.")
@click.option(
    "--tasks", type=MANY, default=300, show_default=True, help="Live: held-out tasks to ask."
)
@click.option("--temperature", default=0.8, show_default=True, help="Live: of the samples.")
@click.option(
    "--n", "counts", metavar="N,...", default="3,5,8", show_default=True, help="Data: voters."
)
@click.option(
    "--draws", type=MANY, default=50, show_default=True, help="Data: random votes for each task."
)
@click.option("--source", default="", metavar="NAME", help="Data: only sources with it in them.")
@click.option("--execute", is_flag=True, help="Data: run the candidates' code in the sandbox.")
@click.option("--hide-examples", is_flag=True, help="Data: take examples out of the prompts.")
@click.option("--mix", is_flag=True, help="Data: all sources of a task in one swarm.")
@click.option("--weigh", is_flag=True, help="Mix: sources count by their other tasks' pass rates.")
@click.option("--limit", type=MANY, default=None, help="Data: only the first tasks of a source.")
@click.option(
    "--jobs", type=MANY, default=1, show_default=True, help="Data: processes (times then suffer)."
)
@click.option("--keep", is_flag=True, help="Keep pass rates as the skills of the models.")
@options.planning
@options.as_json
@options.general
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    live: bool,
    path: Path | None,
    strategies: tuple[str, ...],
    seed: int | None,
    json_: bool,
    **flags: Any,
) -> None:
    """Measure what voting gives: one sample, votes, the best possible pick.

    --live asks held-out tasks of the builtin model (also of another, with --model), eight samples
    each, and runs each task's unit tests on every answer; then asks each task as clients do.

    --data votes on random draws of answers that somebody has graded: a JSON object a line with
    task_id, source, prompt and samples (text, passed).
    """
    from local_swarm.cli import render

    if live == (path is not None):
        raise UsageError("`lswarm eval` takes --live or --data FILE.", hint="Give one of them.")
    _refuse(context, ONLY_DATA if live else ONLY_LIVE, "--data" if live else "--live")
    if path is None:
        chosen = seed if seed is not None else LIVE_SEED
        document, show = _live(strategies, chosen, **flags), render.evaluation
    else:
        chosen = seed if seed is not None else DATA_SEED
        document, show = _data(path, strategies or ("auto",), chosen, **flags), render.replay
    if json_:
        click.echo(json.dumps(document, indent=2))
    else:
        show(document)


def _refuse(context: click.Context, names: frozenset[str], belongs_to: str) -> None:
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and given is ParameterSource.COMMANDLINE:
            raise UsageError(f"{parameter.opts[0]} goes with {belongs_to}.", hint="Leave it out.")


def _live(
    strategies: tuple[str, ...],
    seed: int,
    *,
    config_path: str | None,
    verbose: bool,
    tasks: int,
    temperature: float,
    keep: bool,
    model: str | None,
    **flags: Any,
) -> dict[str, Any]:
    from local_swarm.cli.progress import progress
    from local_swarm.cli.temporary import with_swarm
    from local_swarm.evals import live, served
    from local_swarm.evals.tasks import held_out
    from local_swarm.swarm.control import Client
    from local_swarm.telemetry import logs

    if len(strategies) > 1:
        raise UsageError("--live measures one strategy.", hint="Give --strategy once.")
    strategy = strategies[0] if strategies else "auto"
    logs.configure(level="debug" if verbose else "error")
    loaded = options.settings(
        config_path, **{**flags, "voters": flags.get("voters") or SAMPLES, "port": 0}
    )
    questions = held_out(seed, tasks)
    how: dict[str, Any] = {"temperature": temperature, "strategy": strategy}

    def asked(client: Client) -> tuple[str, list[live.Outcome], list[served.Served]]:
        with progress("tasks", len(questions)) as advance:
            outcomes = live.run(
                client.chat, questions, samples=SAMPLES, seed=seed, advance=advance, **how
            )
        with progress("tasks as served", len(questions)) as advance:
            answers = served.run(client.chat, questions, advance=advance, **how)
        return client.status()["model"], outcomes, answers

    name, outcomes, answers = with_swarm(loaded.config, model, asked)
    if keep:
        _keep("held-out tasks", {name: live.passed(outcomes)})
    return {
        **live.summary(outcomes, seed=seed, strategy=strategy),
        "served": served.summary(answers, seed=seed),
        "model": name,
        **how,
    }


def _data(
    path: Path,
    strategies: tuple[str, ...],
    seed: int,
    *,
    counts: str,
    draws: int,
    execute: bool,
    keep: bool,
    jobs: int,
    **flags: Any,
) -> dict[str, Any]:
    from local_swarm.cli.progress import progress
    from local_swarm.evals import figures
    from local_swarm.evals.data import load
    from local_swarm.evals.draws import left_out
    from local_swarm.evals.replay import Plan, replay
    from local_swarm.evals.weighing import results

    if flags["weigh"] and (execute or not flags["mix"]):
        raise UsageError(
            "--weigh goes with --mix and without --execute.", hint="Leave it out, or add --mix."
        )
    plan = Plan(strategies, _numbers(counts), draws, seed, execute)
    problems = load(path)
    tasks = _tasks(problems, **flags)
    missing = left_out(tasks, plan.counts)
    if sum(row["problems"] for row in missing) == len(tasks) * len(plan.counts):
        raise UsageError("No problem has enough samples.", hint=f"--n is {counts}: ask for fewer.")
    with progress("tasks", len(tasks)) as advance:
        tallies = replay(tasks, plan, jobs=jobs, advance=advance)
    if keep:
        _keep(path.name, results(problems))
    return {
        "data": str(path),
        "seed": seed,
        "draws": draws,
        "execute": execute,
        "examples_hidden": flags["hide_examples"],
        "weighed": flags["weigh"],
        **figures.report(tallies),
        "left_out": missing,
    }


def _tasks(
    problems: Sequence[Problem],
    *,
    source: str,
    hide_examples: bool,
    mix: bool,
    weigh: bool,
    limit: int | None,
    **_: Any,
) -> list[Item]:
    """What to vote on, as the options say."""
    from local_swarm.evals.data import without_examples
    from local_swarm.evals.draws import items
    from local_swarm.evals.weighing import weighed

    tasks = items(problems, source=source, mix=mix, limit=limit)
    if not tasks:
        known = ", ".join(dict.fromkeys(problem.source for problem in problems))
        raise UsageError(f"No source is called {source!r} in part.", hint=f"There are {known}.")
    if hide_examples:
        tasks = [replace(t, problems=without_examples(t.problems)) for t in tasks]
    return weighed(tasks) if weigh else tasks


def _keep(suite: str, results: Mapping[str, tuple[int, int]]) -> None:
    """From now on swarms of several models weigh them by these (docs/voting.md)."""
    from local_swarm.cli import render
    from local_swarm.config.paths import user_paths
    from local_swarm.consensus.scoring.skills import measured
    from local_swarm.swarm.skills import SkillFile

    file = SkillFile.of(user_paths())
    file.update(lambda known: measured(known, suite, results))
    for model, (passed, tests) in results.items():
        render.say(f"kept for {model}: {passed} of {tests} ({suite})")


def _numbers(text: str) -> tuple[int, ...]:
    """Different numbers of voters, as `3,5,8`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 1000 for part in parts):
        raise UsageError(f"--n is {text!r}.", hint="Give numbers from 1 on, as 3,5,8.")
    return tuple(dict.fromkeys(map(int, parts)))

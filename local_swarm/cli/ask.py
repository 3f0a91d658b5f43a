"""`lswarm ask`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from local_swarm.cli import options


@click.command()
@click.argument("question", nargs=-1)
@click.option("--task", type=int, metavar="SEED", help="Ask a held-out task of the builtin model.")
@click.option("--port", type=int, help="Which swarm, where several run.")
@click.option("--strategy", metavar="S", help="How answers are compared.")
@click.option("--seed", type=int, help="Makes the whole vote reproducible.")
@options.planning
@options.as_json
@options.general
def ask(
    config_path: str | None,
    verbose: bool,
    question: tuple[str, ...],
    task: int | None,
    port: int | None,
    seed: int | None,
    json_: bool,
    model: str | None,
    **flags: Any,
) -> None:
    """Ask one question and see the candidates, the vote and the answer.

    Goes to the running swarm; starts one for this question where none runs, or where you say
    with --model, --voters, ... what it should be. --task asks what the builtin model was never
    trained on, and runs the task's unit tests on every answer.
    """
    from local_swarm.cli import render
    from local_swarm.evals.grading import grade
    from local_swarm.evals.tasks import held_out
    from local_swarm.telemetry import logs

    chosen_task = None if task is None else held_out(task, 1)[0]
    text = chosen_task.prompt if chosen_task else _text(question)
    logs.configure(level="debug" if verbose else "error")
    loaded = options.settings(config_path, **{**flags, "port": 0 if port is None else port})
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": text}],
        "swarm": {"include_candidates": True},
    }
    if flags.get("strategy"):
        body["swarm"]["strategy"] = flags["strategy"]
    if seed is not None or task is not None:
        body["seed"] = task if seed is None else seed
    own = model is not None or any(flags[name] for name in flags if name != "strategy")
    answer = _ask(loaded.config, model, port, body, own=own)
    grades = None
    if chosen_task is not None:
        texts = {c["text"] for c in answer["swarm"].get("candidates", [])}
        texts.add(answer["choices"][0]["message"].get("content") or "")
        results = {t: grade(chosen_task, t) for t in texts}
        grades = {t: "passed" if r.passed else r.detail for t, r in results.items()}
    if json_:
        if chosen_task is not None and grades is not None:
            content = answer["choices"][0]["message"].get("content") or ""
            answer["task"] = {"id": chosen_task.task_id, "passed": grades[content] == "passed"}
        click.echo(json.dumps(answer, indent=2))
    else:
        render.answer(text, answer, grades)


def _text(question: tuple[str, ...]) -> str:
    from local_swarm.errors import UsageError

    text = " ".join(question)
    if not text and not sys.stdin.isatty():
        text = sys.stdin.read().strip()
    if not text:
        raise UsageError("There is no question.", hint='Try: lswarm ask "Write a function ..."')
    return text


def _ask(
    config: Any, model: str | None, port: int | None, body: dict[str, Any], *, own: bool
) -> dict[str, Any]:
    """To the running swarm, or to one started for this question."""
    from local_swarm.cli import render
    from local_swarm.cli.temporary import with_swarm
    from local_swarm.config.paths import user_paths
    from local_swarm.errors import NotRunningError
    from local_swarm.swarm import control

    if not own:
        try:
            run = control.find(user_paths(), port)
        except NotRunningError:
            if port is not None:
                raise
        else:
            return control.Client.of(run).chat(body)
    render.say("Starting a swarm for this question ...")
    return with_swarm(config, model, lambda client: client.chat(body))

"""The swarms that run here: whether they answer, and how their workers are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from local_swarm import __version__
from local_swarm.errors import LocalSwarmError
from local_swarm.supervisor.runfile import RunFile
from local_swarm.swarm import control
from local_swarm.swarm.doctor.finding import Context, Finding, error, note, ok, warning

ANSWER_S = 3.0
LOGS = "`lswarm logs` has its last words."


def check(context: Context) -> Iterator[Finding]:
    alive = [run for run in context.runs() if run.supervisor.process() is not None]
    if not alive:
        yield ok("No swarm is running.")
    for run in alive:
        yield from _one(run)


def _one(run: RunFile) -> Iterator[Finding]:
    try:
        body = replace(control.Client.of(run), timeout_s=ANSWER_S).status()
    except LocalSwarmError as silent:
        yield error(
            f"The swarm at {run.url} (pid {run.supervisor.pid}) runs and gives no status: "
            f"{silent.message}",
            "Look at `lswarm logs`, then `lswarm down` and `lswarm up`.",
        )
        return
    yield from judged(run.url, body)


def judged(url: str, body: dict[str, Any]) -> Iterator[Finding]:
    """One swarm by its status."""
    ready = sum(worker["state"] == "ready" for worker in body["workers"])
    told = f"The swarm at {url}: {ready} of {len(body['workers'])} workers are ready."
    if body["ready"] or body.get("asleep"):
        yield ok(told)
    else:
        yield error(f"{told} It takes no requests.", LOGS)
    if (version := body.get("version", __version__)) != __version__:
        yield note(f"It runs version {version}; installed is {__version__}.", "Restart it.")
    for worker in body["workers"]:
        yield from _worker(worker)


def _worker(worker: dict[str, Any]) -> Iterator[Finding]:
    if worker["state"] in ("backoff", "failed"):
        why = worker.get("reason") or "it does not say why"
        yield warning(f"Worker {worker['id']} is in {worker['state']}: {why}.", LOGS)
    if worker.get("reduced"):
        yield note(
            f"Worker {worker['id']} gave up {worker['reduced']} for want of memory.",
            "A smaller model or context leaves room for it.",
        )
    if worker.get("drift"):
        yield note(
            f"Worker {worker['id']} allocated other than planned.",
            "`lswarm status` has the figures; please report them.",
        )

"""Whether there is an engine, and whether it runs."""

from __future__ import annotations

from collections.abc import Iterator

from local_swarm.engines import choose
from local_swarm.engines.trial import Trial, tried
from local_swarm.errors import EngineError
from local_swarm.swarm.doctor.finding import Context, Finding, error, ok, warning
from local_swarm.swarm.machine import engine_label

REINSTALL = "Install it anew, or another engine (docs/engines.md); a driver may be broken too."


def check(context: Context) -> Iterator[Finding]:
    settings = context.config.engine
    try:
        chosen = choose(settings.name, path=settings.path)
    except EngineError as missing:
        yield error(missing.message, missing.hint)
        return
    yield judged(engine_label(chosen), tried(chosen))


def judged(label: str, trial: Trial) -> Finding:
    """By how a process ended that did nothing but load the engine."""
    if trial.code == 0:
        return ok(f"The engine {label} runs.")
    if trial.is_late:
        return warning(
            f"The engine {label} was started, and {trial.words}.",
            "Try again when the machine has less to do; if it stays so, a driver hangs.",
        )
    if trial.code is None:
        return error(f"The engine {label} cannot be started: {trial.words}.", REINSTALL)
    how = f"signal {-trial.code}" if trial.code < 0 else f"exit code {trial.code}"
    return error(f"The engine {label} ends with {how} before it does anything: {trial.words}.",
                 REINSTALL)  # fmt: skip

"""Workers that ended unasked of late, in all runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from local_swarm.storage import Damaged
from local_swarm.swarm.crashes import Crash, CrashFile
from local_swarm.swarm.doctor.finding import Context, Finding, note, ok, warning

LATELY = timedelta(days=1)
CURES = {
    "out_of_memory": "Choose a smaller model, context or number of slots, or free some RAM.",
    "device_memory": "Choose a smaller model or context, or free some of the device's memory.",
    "bad_model": "Download the model again (`lswarm models pull`), or choose another.",
    "bad_flags": "Correct engine.args, or what follows `--` of `lswarm up`.",
    "killed": "Somebody or something ended it from outside: look at the system's log.",
    "hung": "Update the engine and the device's driver.",
    "too_slow": "Raise supervisor.start_timeout_s, or put the model on a faster disk.",
}
UNKNOWN = "Look at `lswarm logs`; `lswarm doctor --bundle FILE.zip` has what a report needs."


def check(context: Context) -> Iterator[Finding]:
    try:
        crashes = CrashFile.of(context.paths).read()
    except Damaged as why:
        yield note(
            f"The crash history in {context.paths.state} cannot be used: {why}.",
            "The next swarm with a crash sets it aside and begins a new one.",
        )
        return
    yield from judged(crashes, datetime.now(timezone.utc))


def judged(crashes: Sequence[Crash], now: datetime) -> Iterator[Finding]:
    """One finding for each cause of the last day."""
    lately = [crash for crash in crashes if now - _when(crash) < LATELY]
    if not lately:
        yield ok("No worker has crashed in the last day.")
    for cause, count in Counter(crash.cause for crash in lately).most_common():
        last = [crash for crash in lately if crash.cause == cause][-1]
        times = "once" if count == 1 else f"{count} times"
        yield warning(
            f"Workers ended {times} in the last day: {cause.replace('_', ' ')}; the last was "
            f"{last.worker} with {last.model} at {last.time}.",
            CURES.get(cause, UNKNOWN),
        )


def _when(crash: Crash) -> datetime:
    """Long ago, where the time cannot be read."""
    try:
        return datetime.strptime(crash.time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)

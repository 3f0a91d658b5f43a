"""What the gateway needs of others; `swarm/compose.py` connects them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.evidence import Evidence, RunsWanted, Wanted
from local_swarm.domain.execution import Report
from local_swarm.domain.report import Report as ChangeReport
from local_swarm.domain.rules import Breach, Rules
from local_swarm.domain.verdict import Verdict
from local_swarm.domain.worker import Death, WorkerState, WorkerStatus


class Fleet(Protocol):
    """The workers, and what happens to them. `local_swarm.supervisor.fleet.Fleet` is one."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The workers that may take traffic now."""
        ...

    def expected(self) -> tuple[Endpoint, ...]:
        """Those, and the ones that will come back by themselves soon."""
        ...

    def draining(self) -> tuple[Endpoint, ...]:
        """The workers that finish what they have, and are given nothing new."""
        ...

    @property
    def is_asleep(self) -> bool:
        """Whether workers wait for the next request to be started. They are expected."""
        ...

    def states(self) -> Mapping[str, WorkerState]:
        """What every worker is doing now, by its id."""
        ...

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` after every change; returns how to stop that."""
        ...

    def served(self, worker: str, generation: int) -> None:
        """Told when a request finished on that life of a worker."""
        ...

    def drained(self, worker: str, generation: int) -> None:
        """Told when nothing runs on that life of a draining worker any more; maybe more than
        once."""
        ...

    def wanted(self, in_flight: int, waiting: int) -> None:
        """Told whenever it changes how many requests want a worker, and how many of these wait for
        a slot. The first wakes the workers that sleep."""
        ...

    async def death_of(self, worker: str, generation: int, within_s: float) -> Death | None:
        """The end of that life, waited for up to `within_s`; None if it lives on."""
        ...

    async def status(self) -> tuple[WorkerStatus, ...]: ...


class Ballots(Protocol):
    """Judges and compares answers off the event loop."""

    async def vote(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        strategy: str,
        rules: Rules | None = None,
        evidence: Evidence | None = None,
    ) -> Verdict | Wanted:
        """The verdict, or what of `evidence.able` must be found out first. Never raises: what
        cannot be compared is a verdict that says so."""
        ...

    async def judge(self, rules: Rules, candidates: Sequence[Candidate]) -> list[Breach | None]:
        """What each candidate breaks. Never raises: what cannot be judged breaks nothing."""
        ...

    async def settled(
        self,
        prompt: str,
        candidates: Sequence[Candidate],
        missing: int,
        strategy: str,
        rules: Rules | None = None,
        evidence: Evidence | None = None,
        sure: float = 1.0,
    ) -> bool:
        """Whether `missing` more answers, whatever they say, leave the winner's cluster the winner;
        below `sure` 1, whether the winner is right with that probability. Never raises: what is not
        known is not settled."""
        ...

    async def run(self, wanted: RunsWanted) -> tuple[Report, ...] | None:
        """What came of the candidates' code, in order; None where it could not be run. Never
        raises."""
        ...


class Control(Protocol):
    """Changes the running swarm. Every method returns when the change is done, which may take
    minutes, and raises a LocalSwarmError. What must not happen at once it does in turn; what has
    begun it finishes when its caller has gone, and gives up when the swarm stops."""

    async def restart(self, worker: str | None) -> ChangeReport:
        """That worker, or all of them one after the other."""
        ...

    async def scale(self, workers: int) -> ChangeReport:
        """To so many workers, at least one."""
        ...

    async def reload(self) -> ChangeReport:
        """Applies the configuration as it is now."""
        ...

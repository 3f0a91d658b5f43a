"""What the gateway needs of others; `swarm/compose.py` connects them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.endpoint import Endpoint
from local_swarm.domain.evidence import Evidence, RunsWanted, Wanted
from local_swarm.domain.execution import Report
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

    def states(self) -> Mapping[str, WorkerState]:
        """What every worker is doing now, by its id."""
        ...

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Calls `listener` after every change; returns how to stop that."""
        ...

    def served(self, worker: str, generation: int) -> None:
        """Told when a request finished on that life of a worker."""
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

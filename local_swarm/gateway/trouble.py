"""What failed attempts mean for a request: try again, or which error to give up with.

Pure: the fan-out and the relay tell it what happened and ask whether to go on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from local_swarm.domain.worker import Cause, Death
from local_swarm.errors import (
    ContextExceeded,
    InvalidRequest,
    NotLetIn,
    NotSupported,
    NoVoterAnswered,
    PoisonRequest,
    RequestError,
)
from local_swarm.gateway.upstream import Refused, UpstreamError

POISON_DEATHS = 2  # that a request may have caused
MOST_DEATHS = 8  # that nobody asked for: then it is hopeless whoever is to blame
MOST_FAILURES = 3  # without a death
NOT_BY_A_REQUEST = frozenset(
    {Cause.ASKED, Cause.KILLED, Cause.OUT_OF_MEMORY, Cause.DEVICE_MEMORY, Cause.TOO_SLOW}
)
"""Nor is exit 0, which is how an engine obeys a TERM from outside."""
OUR_KEY = frozenset({401, 403})  # it is the gateway that a worker does not let in, not the client
NO_SUCH_PATH = frozenset({404, 405, 501})
RETRY_PAUSE_S = 0.25  # where a worker refused and lives on, so that it is not asked in a hot loop


@dataclass(slots=True)
class Trouble:
    """The failed attempts of one request."""

    deaths: list[Death] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refusal: Refused | None = None

    def died(self, death: Death) -> None:
        """The worker died under the request. The same death seen twice counts once."""
        if not any(_same(death, known) for known in self.deaths):
            self.deaths.append(death)

    def failed(self, error: UpstreamError) -> None:
        """The attempt failed and its worker lives on."""
        if isinstance(error, Refused) and error.status == 503:
            return  # not ready after all: the supervisor will say so
        if isinstance(error, Refused):
            self.refusal = error
        self.failures.append(error.message)

    def verdict(self) -> RequestError | None:
        """The error to give up with, None to try again."""
        deaths = [death for death in self.deaths if death.kind is not Cause.ASKED]
        if sum(map(_may_be_caused, deaths)) >= POISON_DEATHS or len(deaths) >= MOST_DEATHS:
            causes = ", ".join(f"{d.worker}: {d.cause}" for d in deaths)
            return PoisonRequest(
                f"{len(deaths)} workers died under this request ({causes}).",
                hint="It is not tried again; `lswarm logs` has what they wrote last.",
            )
        if self.refusal is not None and (
            400 <= self.refusal.status < 500
            or self.refusal.status in NO_SUCH_PATH
            or is_clients_mistake(self.refusal)
        ):
            return client_error(self.refusal)
        if len(self.failures) >= MOST_FAILURES:
            return NoVoterAnswered(f"No worker answered: {self.failures[-1]}")
        return None


def _may_be_caused(death: Death) -> bool:
    """Whether a request can have brought it about."""
    return death.kind not in NOT_BY_A_REQUEST and death.exit_code != 0


def _same(a: Death, b: Death) -> bool:
    return (a.worker, a.generation) == (b.worker, b.generation)


def is_clients_mistake(refused: Refused) -> bool:
    """Whether a 500 of llama-server is what only the client can mend: a 5xx would be retried."""
    message = refused.message
    return refused.status == 500 and (
        message.startswith("[json.exception.")
        or message.endswith("is required")
        or "input is not supported" in message
    )


def client_error(refused: Refused) -> RequestError:
    """A worker's 4xx or 501 as the client should see it."""
    error = refused.error
    if refused.status in OUR_KEY:
        return NotLetIn(f"A worker does not let the gateway in: {refused.message}")
    if refused.status in NO_SUCH_PATH:
        return NotSupported(refused.message)
    if error.get("type") == "exceed_context_size_error":
        extra: dict[str, Any] = {k: error[k] for k in ("n_prompt_tokens", "n_ctx") if k in error}
        return ContextExceeded(refused.message, extra=extra)
    return InvalidRequest(refused.message)

"""Every error the program raises on purpose.

    LocalSwarmError
     ├── UsageError            2  a flag or argument is wrong
     ├── ConfigError           3  a setting is wrong
     │    └── SandboxUnavailable  code is to be run, and this machine has no safe place for it
     ├── EngineError           4  no engine, or one that cannot do what is asked
     ├── ModelError            5  a model is missing, damaged or foreign
     ├── FitError              6  nothing fits this machine's memory
     ├── BusyError             7  a port or a lock is taken
     ├── NotRunningError       8  there is no swarm to talk to
     ├── WorkerStartError      9  a worker could not start
     ├── Interrupted         130  Ctrl-C, or asked to end by a signal
     └── RequestError             one HTTP request failed
          ├── InvalidRequest      400, the client is to blame
          ├── Unauthorized        401, no valid key
          ├── UnknownModel        404, not served here
          ├── NotAllowed          403, it would change a worker
          ├── NotSupported        501, the model or the engine cannot do it
          ├── NotOffered          501, no swarm does it
          ├── ContextExceeded     400, too long for a slot
          ├── PoisonRequest       400, two workers died under it
          ├── NoValidAnswer       422, every answer broke the request's own rules
          ├── Overloaded          503, the queue is full
          ├── NoVoterAnswered     502, no worker gave an answer
          ├── NotLetIn            502, a worker does not take the gateway's key
          └── DeadlineExceeded    504, no worker answered in time

An error is raised where its cause is known and shown once, at the edge: the command line prints
`message` and `hint` and exits with `exit_code`; the gateway answers `http_status` with `code`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, ClassVar


class Blame(str, Enum):
    """Who has to act for the request to succeed."""

    CLIENT = "client"
    GATEWAY = "gateway"
    WORKER = "worker"
    PEER = "peer"


class LocalSwarmError(Exception):
    """Root of the tree. `message` says what happened, `hint` what to do about it."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    blame: ClassVar[Blame] = Blame.GATEWAY

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(LocalSwarmError):
    exit_code = 2
    http_status = 400
    code = "usage"
    blame = Blame.CLIENT


class ConfigError(LocalSwarmError):
    exit_code = 3
    code = "configuration"


class SandboxUnavailable(ConfigError):
    """Candidates' code is to be run (`consensus.execute`), and there is no safe place for it."""

    http_status = 501
    code = "no_sandbox"


class EngineError(LocalSwarmError):
    exit_code = 4
    code = "no_engine"


class ModelError(LocalSwarmError):
    exit_code = 5
    code = "model"


class FitError(LocalSwarmError):
    exit_code = 6
    code = "does_not_fit"


class BusyError(LocalSwarmError):
    exit_code = 7
    code = "taken"


class NotRunningError(LocalSwarmError):
    exit_code = 8
    http_status = 503
    code = "not_running"


class WorkerStartError(LocalSwarmError):
    exit_code = 9
    code = "worker_start"
    blame = Blame.WORKER


class Interrupted(LocalSwarmError):
    exit_code = 130
    code = "interrupted"
    blame = Blame.CLIENT


class RequestError(LocalSwarmError):
    """One HTTP request failed; `param` names the offending field, `extra` joins the error body."""

    type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.extra = extra or {}


class InvalidRequest(RequestError):
    http_status = 400
    code = "invalid_request"
    type = "invalid_request_error"
    blame = Blame.CLIENT


class Unauthorized(RequestError):
    http_status = 401
    code = "invalid_api_key"
    type = "authentication_error"
    blame = Blame.CLIENT


class UnknownModel(RequestError):
    http_status = 404
    code = "model_not_found"
    type = "invalid_request_error"
    blame = Blame.CLIENT


class NotAllowed(RequestError):
    """403: it would change a worker, and all clients share the workers."""

    http_status = 403
    code = "not_allowed"
    type = "permission_error"
    blame = Blame.CLIENT


class NotSupported(RequestError):
    """501: the model, or the engine as it was started, cannot do it."""

    http_status = 501
    code = "not_supported"
    type = "not_supported_error"
    blame = Blame.WORKER


class NotOffered(NotSupported):
    """501: no swarm does it, whatever the engine can."""

    blame = Blame.GATEWAY


class ContextExceeded(RequestError):
    """The prompt does not fit a slot; `extra` carries `n_prompt_tokens` and `n_ctx`."""

    http_status = 400
    code = "exceed_context_size_error"
    type = "exceed_context_size_error"
    blame = Blame.CLIENT


class Overloaded(RequestError):
    """The queue is full; `retry_after_s` is an honest estimate."""

    http_status = 503
    code = "overloaded"
    type = "server_error"

    def __init__(self, message: str, *, retry_after_s: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class PoisonRequest(RequestError):
    """Two workers died under the request. A 400: clients retry a 5xx, and so would kill more."""

    http_status = 400
    code = "poison_request"
    type = "invalid_request_error"
    blame = Blame.CLIENT


class NoVoterAnswered(RequestError):
    http_status = 502
    code = "no_voter_answered"
    blame = Blame.WORKER


class NotLetIn(NoVoterAnswered):
    """A worker does not take the gateway's key: not the client's mistake, nor the worker's."""

    blame = Blame.GATEWAY


class DeadlineExceeded(RequestError):
    http_status = 504
    code = "deadline_exceeded"
    blame = Blame.WORKER


class NoValidAnswer(RequestError):
    """Every answer broke the request's own rules, and so did one more try: the model cannot do what
    is asked. A 422: clients retry a 5xx, opencode without end, and the next would be no better."""

    http_status = 422
    code = "no_valid_answer"
    type = "invalid_request_error"
    blame = Blame.WORKER


def with_code(code: str) -> type[LocalSwarmError] | None:
    """The error of a command that has this `code`; None for those of requests, and unknown ones."""
    return next((kind for kind in _below(LocalSwarmError) if kind.code == code), None)


def _below(kind: type[LocalSwarmError]) -> Iterator[type[LocalSwarmError]]:
    for each in kind.__subclasses__():
        if not issubclass(each, RequestError):
            yield each
            yield from _below(each)

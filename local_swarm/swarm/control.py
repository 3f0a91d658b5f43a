"""Talks to a swarm that runs on this machine: find it, ask it, stop it. Blocking calls."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import psutil

from local_swarm.config.paths import Paths
from local_swarm.errors import LocalSwarmError, NotRunningError, UsageError, with_code
from local_swarm.supervisor import runfile
from local_swarm.supervisor.runfile import RunFile

EXIT_MARGIN_S = 15.0  # the stop ladder of the workers, after the drain
CHANGE_S = 86400.0  # a change of many workers with a large model takes its time
POLL_S = 0.05


class GatewayAnsweredError(LocalSwarmError):
    """The gateway answered with an error; the message is its own."""

    code = "gateway_error"


def find(paths: Paths, port: int | None) -> RunFile:
    """The running swarm on `port`, or the only one there is. Raises NotRunningError;
    UsageError where several run and none is named."""
    alive = {}
    for path in sorted(paths.run.glob("swarm-*.json")):
        run = runfile.read(path)
        if run is not None and run.supervisor.process() is not None:
            alive[urlsplit(run.url).port] = run
    if port in alive:
        return alive[port]
    if port is None and len(alive) == 1:
        return next(iter(alive.values()))
    if port is None and alive:
        ports = ", ".join(str(p) for p in sorted(alive, key=str))
        raise UsageError(
            f"Several swarms are running, on ports {ports}.", hint="Name one with --port."
        )
    where = "" if port is None else f" on port {port}"
    raise NotRunningError(f"No swarm is running{where}.", hint="Start one with `lswarm up`.")


def stop(run: RunFile, timeout_s: float) -> bool:
    """SIGTERM to the supervisor, then waits. False when it still runs after `timeout_s` and the
    stop ladder's own time."""
    process = run.supervisor.process()
    if process is None:
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    deadline = time.monotonic() + timeout_s + EXIT_MARGIN_S
    # Not process.wait(): a supervisor whose own parent has not taken note of its end yet (a
    # zombie) has stopped.
    while run.supervisor.process() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


@dataclass(frozen=True, slots=True)
class Client:
    """Plain requests to one gateway."""

    url: str
    key: str
    timeout_s: float = 610.0

    @classmethod
    def of(cls, run: RunFile) -> Client:
        return cls(run.url, run.control_key)

    def status(self) -> dict[str, Any]:
        return self._request("GET", "/v1/swarm/status")

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", "/v1/chat/completions", body)

    def restart(self, worker: str | None) -> dict[str, Any]:
        return self._change("restart", {"worker": worker})

    def scale(self, workers: int) -> dict[str, Any]:
        return self._change("scale", {"workers": workers})

    def reload(self) -> dict[str, Any]:
        return self._change("reload", {})

    def _change(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """The report, when it is done. Raises what the swarm raised."""
        client = replace(self, timeout_s=CHANGE_S)
        return client._request("POST", f"/v1/swarm/{what}", body)

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Raises NotRunningError when nobody answers, else the error that was answered."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=self.timeout_s
        )
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            payload = None if body is None else json.dumps(body).encode()
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise NotRunningError(
                f"The swarm at {self.url} does not answer: {exc}.",
                hint="`lswarm logs` has what it said last.",
            ) from exc
        finally:
            connection.close()
        if response.status != 200:
            raise _told(answer, response.status)
        assert isinstance(answer, dict)
        return answer


def _told(answer: Any, status: int) -> LocalSwarmError:
    """An error of the swarm's, of its own kind where that is one of a command."""
    error = answer.get("error", {}) if isinstance(answer, dict) else {}
    message = error.get("message", f"HTTP {status}")
    if kind := with_code(error.get("code", "")):
        return kind(message)
    return GatewayAnsweredError(f"The swarm answered: {message}")

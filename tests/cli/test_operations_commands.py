"""`lswarm restart`, `scale` and `reload`, as far as no swarm is needed; their errors' way back."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from local_swarm import errors
from local_swarm.cli.changing import told
from local_swarm.cli.group import COMMANDS, HELP, lswarm
from local_swarm.swarm.control import GatewayAnsweredError, _told
from local_swarm.wire.errors import error_body


def test_a_report_is_told_in_sentences() -> None:
    report = {
        "done": ["w0 was restarted."],
        "applied": ["swarm.ctx", "swarm.strategy"],
        "needs_restart": ["server.port"],
        "workers": ["w0"],
    }
    assert told(report) == [
        "w0 was restarted.",
        "Applied: swarm.ctx, swarm.strategy.",
        "server.port holds only after `lswarm down` and `lswarm up`.",
    ]
    both = {"done": [], "applied": [], "needs_restart": ["server.host", "server.port"]}
    assert told(both) == ["server.host, server.port hold only after `lswarm down` and `lswarm up`."]


@pytest.mark.parametrize(
    "kind",
    [
        errors.UsageError,
        errors.ConfigError,
        errors.SandboxUnavailable,
        errors.EngineError,
        errors.ModelError,
        errors.FitError,
        errors.BusyError,
        errors.NotRunningError,
        errors.WorkerStartError,
    ],
)
def test_an_error_of_the_swarm_comes_back_as_what_it_was(
    kind: type[errors.LocalSwarmError],
) -> None:
    raised = kind("It failed.", hint="Do this.")
    back = _told(error_body(raised), raised.http_status)
    assert type(back) is kind
    assert str(back) == "It failed. Do this."


@pytest.mark.parametrize(
    "answer", [error_body(errors.NoVoterAnswered("none")), {"error": {}}, {}, [], "what"]
)
def test_an_error_of_a_request_or_none_that_is_known_is_the_gateways(answer: object) -> None:
    assert type(_told(answer, 502)) is GatewayAnsweredError


@pytest.mark.parametrize("workers", ["0", "-1", "many", "1.5", ""])
def test_a_swarm_cannot_have_so_many_workers(workers: str) -> None:
    result = CliRunner().invoke(lswarm, ["scale", "--", workers])
    assert result.exit_code == 2


@pytest.mark.parametrize("command", ["restart", "scale", "reload"])
def test_they_are_listed_and_explained(command: str) -> None:
    assert command in COMMANDS
    assert HELP[command].endswith(".")
    assert CliRunner().invoke(lswarm, [command, "--help"]).exit_code == 0

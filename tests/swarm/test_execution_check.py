"""A swarm that is to run answers starts only where that is safe."""

from __future__ import annotations

import pytest

from local_swarm import sandbox
from local_swarm.errors import SandboxUnavailable
from local_swarm.swarm.starting import check_sandbox


def test_without_a_safe_place_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "unavailable", lambda: "no namespaces")
    with pytest.raises(SandboxUnavailable, match=r"cannot be run safely here: no namespaces"):
        check_sandbox()
    assert SandboxUnavailable.exit_code == 3


def test_with_one_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "unavailable", lambda: None)
    check_sandbox()

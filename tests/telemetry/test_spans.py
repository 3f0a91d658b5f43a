"""Spans where OpenTelemetry is not installed: nothing, at no cost and with no difference."""

from __future__ import annotations

import subprocess
import sys

import pytest

from local_swarm.telemetry import spans


async def test_without_the_package_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "HAVE_OTEL", False)

    async def double(number: int) -> int:
        return 2 * number

    assert spans.traced("test")(double) is double
    with spans.span("test", {"traceparent": "x"}, number=1):
        spans.describe(number=2)
    with pytest.raises(ValueError, match="passes"), spans.span("test"):
        raise ValueError("passes")


def test_the_module_can_be_imported_without_the_package() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from local_swarm.telemetry import spans\n"
        "assert spans.HAVE_OTEL is False\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""The gateway keeps what its OpenAPI document says, for requests that fit it and ones that do not.

LSWARM_SCHEMA_EXAMPLES=200 tries more requests for each operation.
"""

from __future__ import annotations

import asyncio
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from local_swarm.gateway.openapi import document
from tests.swarms import PATIENCE_S, Shape, swarm_of

EXAMPLES = int(os.environ.get("LSWARM_SCHEMA_EXAMPLES", "5"))
NEVER_ENDS = "/v1/swarm/events"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ON_PURPOSE = (501,)  # the fake model has no embeddings and the like; the rest would be ours


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
async def test_every_operation_answers_as_documented(mode: GenerationMode) -> None:
    async with swarm_of(Shape()) as swarm:
        await asyncio.to_thread(_try_all, swarm.gateway.url, mode)
        _, status = await swarm.get("/v1/swarm/status")
        assert status["queue"] == {"waiting": 0, "in_flight": 0}
        assert [worker["restarts"] for worker in status["workers"]] == [0]


def _try_all(url: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(document())
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        if operation.path != NEVER_ENDS and (mode.is_positive or operation.body):
            _try(operation, url, mode)


def _try(operation: schemathesis.APIOperation, url: str, mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def attempt(case: schemathesis.Case) -> None:
        response = case.call(base_url=url, timeout=PATIENCE_S)
        assert response.status_code < 500 or response.status_code in ON_PURPOSE, response.text
        case.validate_response(response, checks=CHECKS)

    attempt()

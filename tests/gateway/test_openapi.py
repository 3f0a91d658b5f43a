"""The OpenAPI document: complete, valid, and true."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from openapi_spec_validator import validate

import local_swarm
from local_swarm.gateway import openapi_kinds
from local_swarm.gateway.openapi import document
from local_swarm.gateway.openapi_kinds import KINDS
from local_swarm.gateway.routes import ROUTES, Kind
from tests.swarms import Shape, swarm_of


def test_it_is_a_valid_openapi_document() -> None:
    validate(document())


def test_it_has_every_route() -> None:
    assert set(KINDS) == set(Kind)
    listed = {
        (method.upper(), path) for path, item in document()["paths"].items() for method in item
    }
    assert listed == {(route.method, route.path) for route in ROUTES}


def test_no_kind_of_route_is_written_twice() -> None:
    """Python keeps the last of two and says nothing."""
    tree = ast.parse(Path(openapi_kinds.__file__).read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
    )
    written = [ast.unparse(key) for key in table.keys if key is not None]
    assert sorted(written) == sorted(set(written))


@pytest.mark.parametrize(
    ("path", "asked", "answered"),
    [
        ("/v1/messages", "MessagesRequest", "Message"),
        ("/v1/messages/count_tokens", "MessagesRequest", "Count"),
        ("/v1/responses", "ResponsesRequest", "Response"),
        ("/v1/responses/input_tokens", "ResponsesRequest", "Count"),
        ("/v1/completions", "TextRequest", "TextCompletion"),
    ],
)
def test_each_api_has_its_own_shapes(path: str, asked: str, answered: str) -> None:
    operation = document()["paths"][path]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    assert (body.rpartition("/")[2], answer.rpartition("/")[2]) == (asked, answered)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [op["operationId"] for item in document()["paths"].values() for op in item.values()]
    assert len(set(names)) == len(names)


async def test_it_is_served_with_the_version_of_the_package() -> None:
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        status, served = await swarm.get("/openapi.json")
    assert status == 200
    assert served == document()
    assert served["info"]["version"] == local_swarm.__version__

"""The routes that change a running swarm: who may, what they take, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from local_swarm.domain.report import Report
from local_swarm.errors import ConfigError, LocalSwarmError, NotAllowed, WorkerStartError
from tests.gateway.posting import post
from tests.swarms import Shape, swarm_of

KEY = "control-key"
RESTART, SCALE, RELOAD = (f"/v1/swarm/{name}" for name in ("restart", "scale", "reload"))
SHOWN = {"Authorization": f"Bearer {KEY}"}


class Changes:
    """A Control that remembers what it was asked."""

    def __init__(self, error: LocalSwarmError | None = None) -> None:
        self.asked: list[tuple[str, object]] = []
        self.error = error

    async def restart(self, worker: str | None) -> Report:
        return await self._do("restart", worker)

    async def scale(self, workers: int) -> Report:
        return await self._do("scale", workers)

    async def reload(self) -> Report:
        return await self._do("reload", None)

    async def _do(self, what: str, how: object) -> Report:
        self.asked.append((what, how))
        if self.error is not None:
            raise self.error
        return Report(done=(f"{what} is done.",), applied=("server.log",), workers=("w0",))


def changing(control: Changes | None, **settings: Any) -> Any:
    return swarm_of(Shape(), control=control, **{"control_key": KEY, **settings})


@pytest.mark.parametrize(
    ("path", "body", "asked"),
    [
        (RESTART, {"worker": "w0"}, ("restart", "w0")),
        (RESTART, {"worker": None}, ("restart", None)),
        (RESTART, {}, ("restart", None)),
        (SCALE, {"workers": 2}, ("scale", 2)),
        (RELOAD, {}, ("reload", None)),
    ],
)
async def test_a_change_is_made_and_reported(
    path: str, body: dict[str, Any], asked: tuple[str, object]
) -> None:
    changes = Changes()
    async with changing(changes) as swarm:
        answer = await post(swarm, path, body, **SHOWN)
    assert changes.asked == [asked]
    assert answer == (
        200,
        {
            "done": [f"{asked[0]} is done."],
            "applied": ["server.log"],
            "needs_restart": [],
            "workers": ["w0"],
        },
    )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RESTART, {"worker": 1}),
        (RESTART, {"worker": "w0", "more": 1}),
        (RESTART, []),
        (RESTART, b"{"),
        (SCALE, {}),
        (SCALE, {"workers": 0}),
        (SCALE, {"workers": -1}),
        (SCALE, {"workers": True}),
        (SCALE, {"workers": "2"}),
        (SCALE, {"workers": 2.5}),
        (SCALE, {"workers": None}),
        (RELOAD, {"x": 1}),
        (RELOAD, None),
    ],
)
async def test_a_wrong_body_changes_nothing(path: str, body: object) -> None:
    changes = Changes()
    async with changing(changes) as swarm:
        status, answer = await post(swarm, path, body, **SHOWN)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert changes.asked == []


@pytest.mark.parametrize("path", [RESTART, SCALE, RELOAD])
@pytest.mark.parametrize(
    ("keys", "control_key", "shown", "status"),
    [
        ((), KEY, "", 401),
        ((), KEY, "wrong", 401),
        (("api",), KEY, "", 401),
        (("api",), KEY, "wrong", 401),
        (("api",), KEY, "api", 403),
        ((), "", "", 403),
        ((), "", "any", 403),
        (("api",), "", "api", 403),
    ],
)
async def test_nobody_else_may(
    path: str, keys: tuple[str, ...], control_key: str, shown: str, status: int
) -> None:
    changes = Changes()
    async with changing(changes, keys=keys, control_key=control_key) as swarm:
        answered, _ = await post(swarm, path, b"{", **{"X-Api-Key": shown})
    assert answered == status
    assert changes.asked == []


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
async def test_the_control_key_opens_the_door_too(header: str) -> None:
    value = f"Bearer {KEY}" if header == "Authorization" else KEY
    async with changing(Changes(), keys=("api",)) as swarm:
        assert (await post(swarm, RELOAD, {}, **{header: value}))[0] == 200
        url = f"{swarm.gateway.url}/v1/swarm/status"
        async with swarm.client.get(url, headers={header: value}) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WorkerStartError("It did not start.", hint="Look."), 500, "worker_start"),
        (ConfigError("Wrong."), 500, "configuration"),
        (NotAllowed("One at a time."), 403, "not_allowed"),
    ],
)
async def test_what_went_wrong_is_said(error: LocalSwarmError, status: int, code: str) -> None:
    async with changing(Changes(error)) as swarm:
        answered, body = await post(swarm, RELOAD, {}, **SHOWN)
        assert (await swarm.chat("x"))[0] == 200
    assert (answered, body["error"]["code"]) == (status, code)
    assert error.message in body["error"]["message"]


async def test_a_swarm_that_stops_begins_no_change() -> None:
    changes = Changes()
    async with changing(changes) as swarm:
        await swarm.gateway.activity.drain(1)
        status, body = await post(swarm, RESTART, {}, **SHOWN)
    assert (status, body["error"]["code"], changes.asked) == (503, "overloaded", [])


async def test_a_gateway_without_anybody_to_change_it_says_so() -> None:
    async with changing(None) as swarm:
        assert (await post(swarm, RELOAD, {}, **SHOWN))[0] == 501

"""POST /v1/swarm/restart, /scale, /reload: a running swarm is changed, by who has its control key.

The control key is in the run file, which only the swarm's user can read. An API key does not open
these routes, whether API keys are asked for or not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from local_swarm.domain.report import Report
from local_swarm.errors import InvalidRequest, NotAllowed, NotOffered, Overloaded, Unauthorized
from local_swarm.gateway.activity import RETRY_AFTER_S, Activity
from local_swarm.gateway.bodies import read_json
from local_swarm.gateway.door import is_among, keys_shown
from local_swarm.gateway.ports import Control

T = TypeVar("T", bound=msgspec.Struct)


class RestartBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`worker` null: all of them."""

    worker: str | None = None


class ScaleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    workers: int


class ReloadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing can be said of a reload."""


class Controls:
    """The routes' handlers. `control` None: this gateway changes nothing."""

    def __init__(
        self,
        control: Control | None,
        activity: Activity,
        *,
        control_key: str,
        api_keys: tuple[str, ...],
    ) -> None:
        self._control = control
        self._activity = activity
        self._control_key = control_key
        self._api_keys = api_keys

    async def restart(self, request: web.Request) -> web.Response:
        body = await self._read(request, RestartBody)
        return await self._done(request, lambda control: control.restart(body.worker))

    async def scale(self, request: web.Request) -> web.Response:
        body = await self._read(request, ScaleBody)
        if body.workers < 1:
            raise InvalidRequest("A swarm has at least one worker.", param="workers")
        return await self._done(request, lambda control: control.scale(body.workers))

    async def reload(self, request: web.Request) -> web.Response:
        await self._read(request, ReloadBody)
        return await self._done(request, lambda control: control.reload())

    async def _read(self, request: web.Request, shape: type[T]) -> T:
        """Raises Unauthorized and NotAllowed before anything of the body is looked at."""
        self._check_key(request)
        try:
            return msgspec.convert(await read_json(request), shape)
        except msgspec.ValidationError as exc:
            raise InvalidRequest(f"The body is wrong: {exc}.") from exc

    async def _done(
        self, request: web.Request, change: Callable[[Control], Awaitable[Report]]
    ) -> web.Response:
        if self._control is None:
            raise NotOffered(f"{request.path}: this swarm cannot be changed while it runs.")
        if self._activity.draining:
            raise Overloaded("The swarm is stopping.", retry_after_s=RETRY_AFTER_S)
        report = await change(self._control)
        return web.Response(body=msgspec.json.encode(report), content_type="application/json")

    def _check_key(self, request: web.Request) -> None:
        shown = keys_shown(request)
        if self._control_key and is_among(shown, (self._control_key,)):
            return
        if not self._control_key or is_among(shown, self._api_keys):
            raise NotAllowed(
                f"{request.method} {request.path} needs the swarm's control key.",
                hint="`lswarm restart`, `scale` and `reload` have it; an API key does not do.",
            )
        raise Unauthorized("The swarm's control key is needed (Authorization: Bearer KEY).")

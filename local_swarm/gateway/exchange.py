"""One plain request to one worker, its answer as the bytes it came in."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from local_swarm.domain.endpoint import Endpoint
from local_swarm.gateway.upstream import CONNECT_TIMEOUT_S, Lost, Refused, TooLate, Upstream


@dataclass(frozen=True, slots=True)
class Reply:
    """A worker's 200."""

    body: bytes
    content_type: str

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Exchange(Upstream):
    """An Upstream that also makes plain requests, for what takes no slot or cannot be streamed."""

    async def __aenter__(self) -> Exchange:
        await super().__aenter__()
        return self

    async def plain(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        within_s: float,
    ) -> Reply:
        """Raises Refused for any status but 200, Lost and TooLate."""
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        try:
            async with self._session.request(
                method,
                endpoint.base_url + path,
                data=None if body is None else io.BytesIO(msgspec.json.encode(body)),
                headers={**headers, "Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=within_s, sock_connect=CONNECT_TIMEOUT_S),
            ) as response:
                read = await response.read()
                content_type = response.headers.get("Content-Type", "application/json")
                status = response.status
        except aiohttp.ConnectionTimeoutError as exc:
            raise Lost(f"no connection to {endpoint.id} within {CONNECT_TIMEOUT_S:g} s") from exc
        except asyncio.TimeoutError as exc:
            raise TooLate(f"{endpoint.id} had not ended its answer in time") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Lost(f"{endpoint.id} broke off: {exc or type(exc).__name__}") from exc
        if status != 200:
            raise Refused(status, _error_in(read))
        return Reply(read, content_type)


def _error_in(read: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(read)
    except msgspec.DecodeError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}

"""One JSON request to a swarm's gateway."""

from __future__ import annotations

import json
from typing import Any

from tests.swarms import Swarm


async def post(swarm: Swarm, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    url = swarm.gateway.url + path
    async with swarm.client.post(url, data=data, headers=headers) as response:
        return response.status, await response.json()

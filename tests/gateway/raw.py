"""Bytes to a gateway and back, below HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from tests.swarms import PATIENCE_S

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Streams]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def said(reader: asyncio.StreamReader) -> bytes:
    """Everything until the other side closes; empty where it was cut off."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        return b""


async def answer_to(url: str, request: bytes) -> bytes:
    """What comes back for `request` until the gateway closes the connection."""
    async with connected(url) as (reader, writer):
        writer.write(request)
        return await said(reader)

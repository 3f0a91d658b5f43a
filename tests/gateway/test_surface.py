"""The door and the small endpoints."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.swarms import MODEL, Shape, swarm_of

CHAT = "/v1/chat/completions"


async def test_models_lists_the_model_its_solo_and_the_alias_with_the_context() -> None:
    async with swarm_of(Shape()) as swarm:
        _, body = await swarm.get("/v1/models")
    assert [m["id"] for m in body["data"]] == [MODEL, f"{MODEL}:solo", "swarm"]
    assert {m["context_length"] for m in body["data"]} == {1024}


async def test_status_matches_its_contract() -> None:
    async with swarm_of(Shape(workers=2)) as swarm:
        await swarm.chat("x")
        _, body = await swarm.get("/v1/swarm/status")
    assert set(body) == {
        "model", "version", "ready", "asleep", "uptime_s", "workers", "voters", "queue", "peers",
    }  # fmt: skip
    assert set(body["workers"][0]) == {
        "id", "engine", "state", "pid", "port", "slots", "slots_busy", "ctx", "restarts",
        "requests", "latency_ms_avg", "tokens_per_s", "planned_bytes", "observed_bytes",
        "drift", "device_memory", "reason", "reduced", "crashes", "rss_bytes", "pss_bytes",
        "vram_bytes",
    }  # fmt: skip
    assert sum(w["requests"] for w in body["workers"]) == 1
    assert body["workers"][0]["observed_bytes"] > 0


async def test_health_and_readiness() -> None:
    async with swarm_of(Shape()) as swarm:
        assert await swarm.get("/health") == (200, {"status": "ok"})
        assert (await swarm.get("/ready"))[0] == 200


async def test_metrics_can_be_scraped() -> None:
    async with swarm_of(Shape()) as swarm:
        await swarm.chat("x")
        async with swarm.client.get(f"{swarm.gateway.url}/metrics") as response:
            text = await response.text()
    families = {f.name: f for f in text_string_to_metric_families(text)}
    samples = {
        (s.name, s.labels.get("route")): s.value for f in families.values() for s in f.samples
    }
    assert samples["lswarm_requests_total", CHAT] == 1
    assert "lswarm_vote_agreement_ratio" in families


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", CHAT, b"{not json", 400),
        ("POST", CHAT, b"\xff\xfe", 400),
        ("POST", CHAT, b"[]", 400),
        ("POST", CHAT, b"[" * 100_000, 400),
        ("POST", CHAT, b'{"messages":[{"role":"user","content":"\\ud800"}]}', 400),
        ("POST", CHAT, b"x" * 20_000, 413),
        ("GET", CHAT, None, 405),
        ("GET", "/nothing", None, 404),
    ],
)
async def test_bad_requests_get_a_json_error(
    method: str, path: str, body: bytes | None, status: int
) -> None:
    limit = 10_000 if status == 413 else 1_000_000
    async with (
        swarm_of(Shape(), max_body_bytes=limit) as swarm,
        swarm.client.request(method, swarm.gateway.url + path, data=body) as response,
    ):
        assert response.status == status
        error = (await response.json())["error"]
        assert set(error) >= {"message", "type", "code", "param"}
        assert response.headers["X-Swarm-Error-Source"] == "client"


async def test_a_key_is_asked_for_where_keys_are_configured() -> None:
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        assert (await swarm.get("/v1/models"))[0] == 401
        assert (await swarm.get("/health"))[0] == 200
        for headers in ({"Authorization": "Bearer secret"}, {"X-Api-Key": "secret"}):
            async with swarm.client.get(
                f"{swarm.gateway.url}/v1/models", headers=headers
            ) as response:
                assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 400),
        ({"Origin": "http://evil.example"}, 400),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Host": "swarm.lan"}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
    ],
)
async def test_a_web_page_cannot_reach_the_model(headers: dict[str, str], status: int) -> None:
    async with (
        swarm_of(Shape(), hosts=("swarm.lan",)) as swarm,
        swarm.client.get(f"{swarm.gateway.url}/v1/models", headers=headers) as response,
    ):
        assert response.status == status


async def test_no_task_is_left_after_the_gateway() -> None:
    before = asyncio.all_tasks()
    async with swarm_of(Shape()) as swarm:
        await swarm.chat("x")
        await swarm.stream("x")
    assert asyncio.all_tasks() == before

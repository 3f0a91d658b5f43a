"""What the gateway tells of its work: metrics, access log, spans."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from local_swarm.gateway.access import Reporter
from local_swarm.gateway.door import Door, door_middleware, mark
from local_swarm.gateway.events import Events
from local_swarm.gateway.metrics import Metrics
from local_swarm.telemetry import logs, spans
from tests.swarms import MODEL, Shape, Swarm, settings_of, swarm_of

DOCS = Path(__file__).parents[2] / "docs" / "observability.md"
CHAT = "/v1/chat/completions"
SECRET = "a prompt that nobody may see"
HELD = {"faults": [{"kind": "hold", "at_token": 1}]}
ID = {"X-Request-Id": "of-this-test"}


async def scraped(swarm: Swarm) -> dict[tuple[str, ...], float]:
    """(name, label values...) -> value."""
    async with swarm.client.get(f"{swarm.gateway.url}/metrics") as response:
        text = await response.text()
    return {
        (s.name, *s.labels.values()): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_the_page_for_people_lists_every_metric() -> None:
    listed = set(re.findall(r"^\| `(lswarm_\w+)` \| (\w+)", DOCS.read_text(), re.MULTILINE))
    families = list(Metrics().registry.collect())
    known = {(f.name + ("_total" if f.type == "counter" else ""), f.type) for f in families}
    assert listed == known


def test_metrics_are_named_by_convention_and_explained() -> None:
    units = ("_seconds", "_bytes", "_ratio")
    for family in Metrics().registry.collect():
        assert family.documentation.endswith(".")
        assert re.fullmatch(r"lswarm_[a-z_]+", family.name)
        assert not re.search(r"_(ms|mb|kb|percent|total)$", family.name)
        if any(word in family.name for word in ("wait_", "duration", "drift", "agreement")):
            assert family.name.endswith(units)


async def test_a_vote_is_counted() -> None:
    async with swarm_of(Shape()) as swarm:
        await swarm.chat("x")
        first = await scraped(swarm)
        await swarm.chat("x")
        second = await scraped(swarm)
    assert first["lswarm_vote_voters_sum",] == 3
    assert first["lswarm_vote_agreement_ratio_count",] == 1
    assert first["lswarm_queue_wait_seconds_count",] == 1
    assert first["lswarm_time_to_first_byte_seconds_count", CHAT] == 1
    assert first["lswarm_requests_in_flight",] == 1  # the scrape itself
    assert first["lswarm_slots", "w0"] == 4
    assert first["lswarm_worker_restarts_total", "w0"] == 0
    prompt = first["lswarm_prompt_tokens_total", "w0"]
    assert prompt > 0
    assert first["lswarm_completion_tokens_total", "w0"] > 0
    assert first["lswarm_prompt_cached_tokens_total", "w0"] == 0
    assert second["lswarm_prompt_tokens_total", "w0"] == 2 * prompt
    assert 0 < second["lswarm_prompt_cached_tokens_total", "w0"] < prompt


async def test_waiting_requests_are_counted_and_told() -> None:
    async with swarm_of(Shape(slots=2, voters=1, script=HELD)) as swarm:
        running = [asyncio.ensure_future(swarm.chat(f"{i}")) for i in range(3)]
        await swarm.fake_until(lambda state: state["busy"] >= 1)
        counted = await scraped(swarm)
        while counted["lswarm_queue_waiting",] < 1:
            counted = await scraped(swarm)
        for task in running:
            await swarm.script({})
            await swarm.release()
            assert (await task)[0] == 200
        counted = await scraped(swarm)
    assert counted["lswarm_queue_waiting",] == 0
    assert counted["lswarm_queue_wait_seconds_count",] == 3


async def test_unknown_paths_and_methods_make_no_labels() -> None:
    async with swarm_of(Shape()) as swarm:
        for i, method in enumerate(("PUT", "PATCH", "LOCK", "MKCOL", "PROPFIND")):
            await swarm.get(f"/nothing/{i}")
            url = f"{swarm.gateway.url}/health"
            async with swarm.client.request(method, url) as response:
                assert response.status == 405
            async with swarm.client.post(f"{swarm.gateway.url}/slots/{i}") as response:
                assert response.status == 403
        counted = await scraped(swarm)
    routes = {key[1:] for key in counted if key[0] == "lswarm_requests_total"}
    assert routes == {("other", "404"), ("other", "405"), ("/slots/{id}", "403")}


async def test_a_client_that_leaves_is_counted_as_such() -> None:
    async with swarm_of(Shape(script=HELD)) as swarm:
        leaving = asyncio.ensure_future(swarm.chat("x", model=f"{MODEL}:solo"))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        leaving.cancel()
        await swarm.fake_until(lambda state: state["busy"] == 0)
        counted = await scraped(swarm)
    assert counted["lswarm_requests_total", CHAT, "499"] == 1


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log's lines so far, as JSON."""
    root, ours = logging.getLogger(), logging.getLogger("local_swarm")
    levels = root.level, ours.level
    stream = io.StringIO()
    logs.configure(stream=stream, level="info", env={"LSWARM_LOG_FORMAT": "json"})
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.stop()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def accesses(lines: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [line for line in lines() if line["logger"] == "local_swarm.access"]


async def test_each_request_gets_one_line_without_its_text(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async with swarm_of(Shape(), access_log=True, keys=("sk-secret",)) as swarm:
        swarm.client.headers.update({"Authorization": "Bearer sk-secret", **ID})
        await swarm.chat(SECRET)
        await swarm.raw_stream(SECRET)
        await swarm.get("/nothing?key=sk-secret")
    plain, stream, nothing = accesses(lines)
    assert plain["request_id"] == "of-this-test"
    assert (plain["method"], plain["route"], plain["status"]) == ("POST", CHAT, 200)
    assert plain["sent_bytes"] > 100
    assert 0 <= plain["first_byte_ms"] <= plain["elapsed_ms"]
    assert (plain["voters"], plain["answered"], plain["model"]) == (3, 3, MODEL)
    assert 0 < plain["agreement"] <= 1
    assert stream["voters"] == 3
    assert (nothing["route"], nothing["path"], nothing["status"]) == ("other", "/nothing", 404)
    assert SECRET not in str(lines())
    assert "sk-secret" not in str(lines())


async def test_the_access_log_can_be_turned_off(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async with swarm_of(Shape(), access_log=False) as swarm:
        await swarm.chat("x")
    assert accesses(lines) == []


async def test_the_access_log_can_be_turned_on_and_off_while_it_serves(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async with swarm_of(Shape(), access_log=False) as swarm:
        for path, access_log in (("/a", True), ("/b", False), ("/c", True)):
            await swarm.gateway.reconfigure(settings_of(Shape(), access_log=access_log))
            await swarm.get(path)
    assert [line["path"] for line in accesses(lines)] == ["/a", "/c"]


async def test_a_bug_is_logged_with_the_request_it_hit_and_not_shown_to_the_client(
    lines: Callable[[], list[dict[str, Any]]], aiohttp_client: Any
) -> None:
    async def broken(request: web.Request) -> web.Response:
        raise RuntimeError("a bug")

    reporter = Reporter(Metrics(), Events(), lines=False)
    app = web.Application(middlewares=[door_middleware(Door(keys=(), hosts=()), reporter)])
    app.on_response_prepare.append(mark)
    app.router.add_get("/", broken)
    client = await aiohttp_client(app)
    response = await client.get("/", headers=ID)
    assert (response.status, response.headers["X-Request-Id"]) == (500, "of-this-test")
    assert "a bug" not in await response.text()
    assert response.headers["X-Swarm-Error-Source"] == "gateway"
    (line,) = [line for line in lines() if line["event"] == "request failed"]
    assert line["request_id"] == "of-this-test"
    assert "a bug" in line["exception"]


async def test_odd_bytes_in_a_path_are_logged_as_text(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    async with swarm_of(Shape(), access_log=True) as swarm:
        await swarm.get("/%ff%00%0a%F0%9F%98%80")
    (line,) = accesses(lines)
    assert line["path"].isascii()
    assert line["status"] == 404


@asynccontextmanager
async def recorded() -> AsyncIterator[InMemorySpanExporter]:
    """The spans made meanwhile. OpenTelemetry takes one provider for a whole process."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    try:
        yield exporter
    finally:
        processor.shutdown()


async def test_a_request_is_a_tree_of_spans_below_its_callers() -> None:
    parent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
    async with recorded() as exporter, swarm_of(Shape()) as swarm:
        swarm.client.headers.update(parent | ID)
        await swarm.chat(SECRET)
        spans = {s.name: s for s in exporter.get_finished_spans()}
        told = str([s.to_json() for s in exporter.get_finished_spans()])
    assert set(spans) == {"lswarm.request", "lswarm.queue", "lswarm.attempt", "lswarm.vote"}
    request = spans["lswarm.request"]
    assert {f"{s.context.trace_id:x}" for s in spans.values()} == {"ab" * 16}
    assert f"{request.parent.span_id:x}" == "cd" * 8
    assert {s.parent.span_id for name, s in spans.items() if name != "lswarm.request"} == {
        request.context.span_id
    }
    assert request.attributes["lswarm.id"] == "of-this-test"
    assert request.attributes["lswarm.voters"] == 3
    assert SECRET not in told


async def test_a_traceparent_that_makes_no_sense_is_ignored() -> None:
    async with recorded() as exporter, swarm_of(Shape()) as swarm:
        swarm.client.headers["traceparent"] = "nonsense"
        assert (await swarm.get("/health"))[0] == 200
        assert [s.name for s in exporter.get_finished_spans()] == ["lswarm.request"]


async def test_a_span_tells_the_kind_of_an_error_and_not_its_words() -> None:
    async with recorded() as exporter:
        with pytest.raises(ValueError, match=SECRET), spans.span("test"):
            raise ValueError(f"cannot read {SECRET}")
        (span,) = exporter.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert SECRET not in span.to_json()

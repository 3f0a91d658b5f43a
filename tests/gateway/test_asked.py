"""What takes no slot, what is told, and what is refused on purpose."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from local_swarm.domain.launch import Capabilities
from local_swarm.gateway.routes import ROUTES, Kind
from tests.gateway.posting import post
from tests.swarms import Shape, swarm_of

DOCS = Path(__file__).parents[2] / "docs" / "http.md"
MESSAGES = {"messages": [{"role": "user", "content": "one two"}]}


async def test_tokens_go_there_and_back() -> None:
    async with swarm_of(Shape()) as swarm:
        _, tokens = await post(swarm, "/tokenize", {"content": "a b  c"})
        _, text = await post(swarm, "/detokenize", tokens)
    assert text == {"content": "a b  c"}


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/apply-template", "prompt"),
        ("/v1/messages/count_tokens", "input_tokens"),
        ("/v1/chat/completions/input_tokens", "input_tokens"),
    ],
)
async def test_templates_and_counts_need_no_slot(path: str, key: str) -> None:
    held = {"faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(slots=1, script=held)) as swarm:
        busy = asyncio.ensure_future(post(swarm, "/completion", {"prompt": "x"}))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        status, body = await post(swarm, path, MESSAGES)
        await swarm.release()
        await busy
    assert status == 200
    assert body[key]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}],
        [{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}],
        [{"type": "tool_result", "content": [{"type": "image", "source": {"url": "file:///a"}}]}],
    ],
)
@pytest.mark.parametrize("path", ["/apply-template", "/v1/messages/count_tokens"])
async def test_no_worker_fetches_an_image_for_a_client(path: str, content: Any) -> None:
    async with swarm_of(Shape()) as swarm:
        body = {"messages": [{"role": "user", "content": content}]}
        status, _ = await post(swarm, path, body)
        assert path not in (await swarm.fake())["counts"]
    assert status == 400


async def test_a_worker_that_dies_is_asked_again(tmp_path: Path) -> None:
    script = {
        "faults": [{"kind": "crash", "path": "/tokenize", "lives": 1}],
        "counter_file": str(tmp_path / "lives"),
    }
    async with swarm_of(Shape(script=script)) as swarm:
        status, _ = await post(swarm, "/tokenize", {"content": "a"})
    assert status == 200


async def test_a_worker_is_asked_by_two_at_once_so_that_answers_keep_their_threads() -> None:
    script = {"faults": [{"kind": "hold", "path": "/tokenize"}]}
    async with swarm_of(Shape(script=script)) as swarm:
        asks = [asyncio.ensure_future(post(swarm, "/tokenize", {"content": "a"})) for _ in range(5)]
        await swarm.fake_until(lambda state: state["counts"].get("/tokenize") == 2)
        assert (await post(swarm, "/completion", {"prompt": "x"}))[0] == 200
        assert (await swarm.fake())["counts"]["/tokenize"] == 2
        await swarm.script({})
        await swarm.release()
        assert [status for status, _ in await asyncio.gather(*asks)] == [200] * 5


async def test_slots_of_all_workers_are_labelled_and_show_no_prompt() -> None:
    script = {"slot": {"prompt": "my secret", "params": {"grammar": "secret", "top_k": 40}}}
    async with swarm_of(Shape(workers=2, slots=2, script=script)) as swarm:
        status, rows = await swarm.get("/slots")
    assert status == 200
    assert [(row["worker"], row["id"]) for row in rows] == [
        ("w0", 0), ("w0", 1), ("w1", 0), ("w1", 1),
    ]  # fmt: skip
    assert "secret" not in json.dumps(rows)
    assert rows[0]["params"]["top_k"] == 40


async def test_slots_show_prompts_where_logs_may() -> None:
    async with swarm_of(Shape(script={"slot": {"prompt": "mine"}}), show_prompts=True) as swarm:
        _, rows = await swarm.get("/slots")
    assert rows[0]["prompt"] == "mine"


async def test_slots_of_an_engine_that_does_not_tell_come_from_the_ledger() -> None:
    shape = Shape(slots=2, capabilities=Capabilities(slots=False))
    async with swarm_of(shape) as swarm:
        _, rows = await swarm.get("/slots")
    assert rows[1] == {"worker": "w0", "id": 1, "n_ctx": 1024, "is_processing": False}


async def test_slots_can_say_that_none_is_free() -> None:
    held = {"faults": [{"kind": "hold", "at_token": 1}]}
    async with swarm_of(Shape(slots=1, script=held)) as swarm:
        assert (await swarm.get("/slots?fail_on_no_slot=1"))[0] == 200
        busy = asyncio.ensure_future(post(swarm, "/completion", {"prompt": "x"}))
        await swarm.fake_until(lambda state: state["busy"] == 1)
        assert (await swarm.get("/slots?fail_on_no_slot=1"))[0] == 503
        await swarm.release()
        await busy


async def test_props_name_no_path_of_this_machine() -> None:
    async with swarm_of(Shape()) as swarm:
        status, body = await swarm.get("/props")
    assert status == 200
    assert body["total_slots"] == 4
    assert body["model_path"] == "fake.gguf"


@pytest.mark.parametrize("path", ["/props", "/slots"])
async def test_what_workers_tell_needs_the_key(path: str) -> None:
    async with swarm_of(Shape(), keys=("secret",)) as swarm:
        assert (await swarm.get(path))[0] == 401
        url, headers = swarm.gateway.url + path, {"Authorization": "Bearer secret"}
        async with swarm.client.get(url, headers=headers) as response:
            assert response.status == 200


REFUSED = (Kind.CHANGES_A_WORKER, Kind.CHANGES_THE_MODEL, Kind.NOT_OFFERED)


async def test_what_is_refused_on_purpose_says_what_to_do() -> None:
    async with swarm_of(Shape()) as swarm:
        for route in (r for r in ROUTES if r.kind in REFUSED):
            url = swarm.gateway.url + route.path.replace("{id}", "0") + "?action=erase"
            async with swarm.client.request(route.method, url, json=[]) as response:
                error = (await response.json())["error"]
                expected = 501 if route.kind is Kind.NOT_OFFERED else 403
                assert response.status == expected, route
            assert set(error) >= {"message", "type", "code", "param"}
            assert "lswarm" in error["message"] or "docs/http.md" in error["message"]
        assert set((await swarm.fake())["counts"]) <= {"/health", "/v1/models"}


async def test_every_route_answers_a_wrong_method_with_the_right_ones() -> None:
    async with swarm_of(Shape()) as swarm:
        for route in ROUTES:
            async with swarm.client.patch(
                swarm.gateway.url + route.path.replace("{id}", "0")
            ) as response:
                assert response.status == 405, route
                assert route.method in response.headers["Allow"].split(",")
                assert (await response.json())["error"]["code"] == "method_not_allowed"


def test_the_page_for_people_lists_every_route() -> None:
    listed = {
        (method, path)
        for line in DOCS.read_text().splitlines()
        if line.startswith("| ")
        for method, path in re.findall(r"`(GET|POST) (/[^`?]*)[^`]*`", line.split("|")[1])
    }
    assert listed == {(route.method, route.path) for route in ROUTES}

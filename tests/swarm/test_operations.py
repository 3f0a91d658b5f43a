"""Restart, scale and reload of a swarm with the real engine, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from local_swarm.config import Config, Loaded, Models, Server, Supervisor, Swarm, load
from local_swarm.config.paths import Paths, user_paths
from local_swarm.domain.worker import WorkerState
from local_swarm.errors import (
    ConfigError,
    FitError,
    ModelError,
    NotRunningError,
    UsageError,
    WorkerStartError,
)
from local_swarm.supervisor.idling import Idling
from local_swarm.supervisor.keeper import Rest
from local_swarm.supervisor.load import LoadSettings
from local_swarm.supervisor.view import reason
from local_swarm.swarm.lifecycle import Running, Settings, running
from local_swarm.swarm.planning import Prepared, prepare
from tests.swarms import PATIENCE_S, Shape, fleet_of, until

pytestmark = pytest.mark.engine

DEMO = Path(__file__).parents[2] / "local_swarm" / "assets" / "demo.gguf"
BASE = Config(
    server=Server(port=0),
    swarm=Swarm(ctx=512, slots=3, threads=1, workers=1),
    supervisor=Supervisor(backoff_initial_s=0.05, restart_budget=1),
)


def with_(config: Config, section: str, **values: Any) -> Config:
    return structs.replace(config, **{section: structs.replace(getattr(config, section), **values)})


@dataclass
class Live:
    """A running swarm, and the configuration that the next reload finds."""

    swarm: Running
    config: Config
    paths: Paths
    failures: list[str] = field(default_factory=list)
    answers: int = 0

    def find(self, config: Config) -> None:
        self.config = config

    def pids(self) -> dict[str, int]:
        return {id_: k.child.pid for id_, k in self.swarm.fleet.keepers.items() if k.child}

    async def models(self) -> list[str]:
        async with (
            aiohttp.ClientSession() as client,
            client.get(f"{self.swarm.url}/v1/models") as response,
        ):
            return [model["id"] for model in (await response.json())["data"]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def live_of(config: Config = BASE, model: str | None = "builtin:demo") -> AsyncIterator[Live]:
    found = [config]

    def read() -> Loaded:
        return replace(load(env={}), config=live.config)

    paths = user_paths()
    prepared = await asyncio.to_thread(prepare, config, model=model)
    async with running(prepared, paths, settings=Settings(read)) as swarm:
        live = Live(swarm, found[0], paths)
        yield live


@asynccontextmanager
async def loaded(live: Live) -> AsyncIterator[None]:
    """Requests of several kinds all the while; none may fail."""
    enough = asyncio.Event()
    bodies: list[dict[str, Any]] = [
        {"model": "swarm", "max_tokens": 24},
        {"model": "swarm", "max_tokens": 24, "stream": True},
        {"model": "local-swarm-demo:solo", "max_tokens": 8},
    ]

    async def ask(client: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        messages = [{"role": "user", "content": "Write a function `double(x)`."}]
        while not enough.is_set():
            url = f"{live.swarm.url}/v1/chat/completions"
            async with client.post(url, json={"messages": messages, **body}) as response:
                text = await response.text()
            if response.status != 200 or (body.get("stream") and "[DONE]" not in text):
                live.failures.append(f"{response.status} {text}")
            live.answers += 1

    async with aiohttp.ClientSession() as client:
        tasks = [asyncio.create_task(ask(client, body)) for body in bodies]
        yield
        enough.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)
    assert live.failures == []
    assert live.answers >= len(bodies)


def within(work: Any) -> Any:
    return asyncio.wait_for(work, 3 * PATIENCE_S)


async def test_a_rolling_restart_loses_no_request() -> None:
    async with live_of(with_(BASE, "swarm", workers=2)) as live:
        before = live.pids()
        async with loaded(live):
            report = await within(live.swarm.operations.restart(None))
        assert report.workers == ("w0", "w1")
        assert not set(before.values()) & set(live.pids().values())


async def test_one_worker_is_restarted_by_name_and_an_unknown_one_refused() -> None:
    async with live_of(with_(BASE, "swarm", workers=2)) as live:
        before = live.pids()
        report = await within(live.swarm.operations.restart("w1"))
        assert report.done == ("w1 was restarted.",)
        assert live.pids()["w0"] == before["w0"]
        with pytest.raises(UsageError, match=r"no worker 'w9'. Workers: w0, w1"):
            await within(live.swarm.operations.restart("w9"))


async def test_scaling_up_and_down_loses_no_request_and_keeps_names() -> None:
    async with live_of() as live:
        async with loaded(live):
            up = await within(live.swarm.operations.scale(2))
            assert sorted(live.swarm.fleet.keepers) == ["w0", "w1"]
            down = await within(live.swarm.operations.scale(1))
        assert up.done[-1] == "There are 2 workers now."
        assert down.done[-1] == "There is 1 worker now."
        assert up.workers == ()  # the first was as it should be
        assert list(live.swarm.fleet.keepers) == ["w0"]


async def test_more_workers_than_there_is_room_for_change_nothing() -> None:
    async with live_of() as live:
        before = live.pids()
        with pytest.raises((FitError, UsageError)):
            await within(live.swarm.operations.scale(1000))
        with pytest.raises(UsageError):
            await within(live.swarm.operations.scale(0))
        assert live.pids() == before
        assert live.swarm.operations.config.swarm.workers == 1


async def test_a_scaled_number_lasts_until_the_setting_changes() -> None:
    async with live_of() as live:
        await within(live.swarm.operations.scale(2))
        live.find(with_(BASE, "swarm", temperature=0.5))
        await within(live.swarm.operations.reload())
        assert len(live.pids()) == 2
        live.find(with_(live.config, "swarm", ctx=768))
        await within(live.swarm.operations.reload())
        assert len(live.pids()) == 2
        assert {e.ctx for e in live.swarm.fleet.endpoints()} == {768}
        live.find(with_(live.config, "swarm", workers="auto"))
        await within(live.swarm.operations.reload())
        assert len(live.pids()) == 1


async def test_a_changed_strategy_restarts_no_worker() -> None:
    async with live_of() as live:
        before = live.pids()
        live.find(with_(BASE, "swarm", strategy="similarity"))
        async with loaded(live):
            report = await within(live.swarm.operations.reload())
        assert report.applied == ("swarm.strategy",)
        assert report.done == ("No worker was restarted.",)
        assert live.pids() == before
        body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4}
        async with (
            aiohttp.ClientSession() as client,
            client.post(f"{live.swarm.url}/v1/chat/completions", json=body) as response,
        ):
            assert (await response.json())["swarm"]["strategy"] == "similarity"


async def test_a_changed_context_restarts_the_worker_and_loses_no_request() -> None:
    async with live_of() as live:
        live.find(with_(BASE, "swarm", ctx=1024))
        async with loaded(live):
            report = await within(live.swarm.operations.reload())
        assert report.workers == ("w0",)
        assert report.applied == ("swarm.ctx",)
        assert [e.ctx for e in live.swarm.fleet.endpoints()] == [1024]


async def test_nothing_new_changes_nothing() -> None:
    async with live_of() as live:
        before = live.pids()
        report = await within(live.swarm.operations.reload())
        assert report.done == ("Nothing has changed.",)
        assert live.pids() == before


async def test_what_needs_a_restart_of_the_swarm_is_named_each_time_and_left() -> None:
    async with live_of() as live:
        changed = with_(with_(BASE, "server", port=1234, max_queue=7), "logs", backups=9)
        live.find(changed)
        report = await within(live.swarm.operations.reload())
        assert report.needs_restart == ("server.port", "logs.backups")
        assert report.applied == ("server.max_queue",)
        assert live.swarm.operations.config.server.port == 0
        again = await within(live.swarm.operations.reload())
        assert again.needs_restart == ("server.port", "logs.backups")
        assert again.applied == ()


async def test_settings_that_would_open_the_door_are_refused() -> None:
    """The address stays as it is until the swarm ends, and so must the keys that it needs."""
    closed = with_(BASE, "server", host="0.0.0.0", api_keys=("secret",))
    async with live_of(closed) as live:
        live.find(BASE)
        with pytest.raises(ConfigError, match=r"server.api_keys must not be empty"):
            await within(live.swarm.operations.reload())
        assert live.swarm.operations.config.server.api_keys == ("secret",)


@pytest.mark.parametrize(
    ("section", "values", "error"),
    [
        ("swarm", {"strategy": "democracy"}, ConfigError),
        ("models", {"preferred": ("/no/such.gguf",)}, ModelError),
        ("hardware", {"reserve_bytes": 2**50}, FitError),
        ("engine", {"args": ("--port", "1")}, UsageError),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_changes(
    section: str, values: dict[str, Any], error: type[Exception]
) -> None:
    async with live_of(model=None) as live:
        before, config = live.pids(), live.swarm.operations.config
        live.find(with_(BASE, section, **values))
        with pytest.raises(error):
            await within(live.swarm.operations.reload())
        assert live.pids() == before
        assert live.swarm.operations.config == config


async def test_a_swap_of_the_model_loses_no_request(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    shutil.copy(DEMO, other)
    async with live_of(with_(BASE, "swarm", workers=2), model=None) as live:
        assert (await live.models())[0] == "local-swarm-demo"
        live.find(with_(live.config, "models", preferred=(str(other),)))
        ready = []
        when_taken(live, lambda: ready.append(len(live.swarm.fleet.endpoints())))
        async with loaded(live):
            report = await within(live.swarm.operations.reload())
        assert ready == [1, 2]  # the name changes with the first worker
        assert report.done[-1] == "The model is other now."
        assert report.workers == ("w0", "w1")
        assert (await live.models())[0] == "other"


async def test_the_model_of_the_command_line_stays(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    shutil.copy(DEMO, other)
    async with live_of() as live:
        before = live.pids()
        live.find(with_(BASE, "models", preferred=(str(other),)))
        report = await within(live.swarm.operations.reload())
        assert report.done == ("The model stays builtin:demo, which the command line names.",)
        assert live.pids() == before


async def test_a_replaced_file_is_a_swap_too(tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    shutil.copy(DEMO, own)
    async with live_of(model=str(own)) as live:
        before = live.pids()
        (tmp_path / "new").write_bytes(DEMO.read_bytes() + b"\0" * 32)
        (tmp_path / "new").replace(own)
        report = await within(live.swarm.operations.reload())
        assert report.workers == ("w0",)
        assert live.pids() != before
        again = await within(live.swarm.operations.reload())
        assert again.done == ("Nothing has changed.",)


async def test_a_model_that_does_not_start_gives_the_old_one_its_place_back(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(DEMO.read_bytes().replace(b"gpt2", b"gptX"))  # of the tokenizer
    async with live_of(with_(BASE, "swarm", workers=2), model=None) as live:
        live.find(with_(live.config, "models", preferred=(str(broken),)))
        async with loaded(live):
            with pytest.raises(WorkerStartError, match=r"The swarm runs as before\."):
                await within(live.swarm.operations.reload())
        assert set(live.swarm.fleet.states().values()) == {WorkerState.READY}
        assert live.swarm.operations.config.models == Models()
        assert (await live.models())[0] == "local-swarm-demo"
        assert (await within(live.swarm.operations.restart(None))).workers == ("w0", "w1")


async def test_what_sleeps_is_not_restarted_and_is_started_to_be_changed() -> None:
    async with live_of(with_(BASE, "swarm", idle_unload_s=0.05)) as live:
        await _until(live, lambda: live.swarm.fleet.is_asleep and not live.pids())
        report = await within(live.swarm.operations.restart(None))
        assert report.done == ("All workers are at rest; none was restarted.",)
        live.find(with_(live.config, "swarm", idle_unload_s=0.0, ctx=1024))
        await within(live.swarm.operations.reload())
        assert [e.ctx for e in live.swarm.fleet.endpoints()] == [1024]


async def test_nothing_else_starts_or_stops_workers_meanwhile() -> None:
    async with fleet_of(Shape()) as fleet:
        asked, holds = asyncio.Semaphore(0), True

        def held() -> bool:
            asked.release()
            return holds

        idling = Idling(LoadSettings(idle_unload_s=1e-6), every_s=0.001, held=held)
        task = asyncio.create_task(idling(fleet))
        for _ in range(10):
            await within(asked.acquire())
        assert list(fleet.states().values()) == [WorkerState.READY]
        holds = False
        await until(fleet, lambda: bool(fleet.draining()))
        task.cancel()


async def test_a_swap_that_fails_half_way_gives_the_old_name_back_too(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    shutil.copy(DEMO, other)

    def break_it() -> None:
        (tmp_path / "broken").write_bytes(DEMO.read_bytes().replace(b"gpt2", b"gptX"))
        (tmp_path / "broken").replace(other)

    async with live_of(with_(BASE, "swarm", workers=2), model=None) as live:
        live.find(with_(live.config, "models", preferred=(str(other),)))
        when_taken(live, break_it)
        with pytest.raises(
            WorkerStartError, match=r"(?s)w1 could not start.*The swarm runs as before"
        ):
            await within(live.swarm.operations.reload())
        assert (await live.models())[0] == "local-swarm-demo"
        assert len(live.swarm.fleet.endpoints()) == 2


async def test_where_going_back_fails_too_nobody_waits_for_ever(tmp_path: Path) -> None:
    first, second = tmp_path / "first.gguf", tmp_path / "second.gguf"
    shutil.copy(DEMO, first)
    second.write_bytes(DEMO.read_bytes().replace(b"gpt2", b"gptX"))
    config = with_(with_(BASE, "swarm", workers=2), "models", preferred=(str(first),))
    config = with_(config, "supervisor", half_open_s=0.1)
    async with live_of(config, model=None) as live:
        live.find(with_(config, "models", preferred=(str(second),)))
        fleet, reasons = live.swarm.fleet, set()
        stop = fleet.subscribe(lambda: reasons.update(map(reason, fleet.keepers.values())))
        breaking = asyncio.create_task(_until(live, lambda: "w0" not in live.pids()))
        breaking.add_done_callback(lambda _: shutil.copy(second, first))
        with pytest.raises(WorkerStartError, match="Going back failed too"):
            await within(live.swarm.operations.reload())
        stop()
        assert Rest.CHANGE.value in reasons
        shutil.copy(DEMO, tmp_path / "mended")
        (tmp_path / "mended").replace(first)
        await _until(live, lambda: len(fleet.endpoints()) == 2)


def when_taken(live: Live, act: Callable[[], None]) -> None:
    """Calls `act` whenever other settings begin to hold, just before."""
    mover = live.swarm.operations._mover
    real = mover.live

    class Told:
        async def take(self, prepared: Prepared) -> None:
            act()
            await real.take(prepared)

    mover.live = Told()


async def test_a_second_change_waits_for_the_first() -> None:
    async with live_of() as live:
        operations = live.swarm.operations
        first = asyncio.create_task(operations.restart(None))
        await asyncio.sleep(0)
        second = asyncio.create_task(operations.scale(2))
        await within(first)
        assert not second.done()
        assert operations.is_busy
        await within(second)
        assert not operations.is_busy


async def test_a_change_goes_on_when_whoever_asked_leaves_and_ends_with_the_swarm() -> None:
    async with live_of() as live:
        operations, before = live.swarm.operations, live.pids()
        asking = asyncio.create_task(operations.restart(None))
        await _until(live, lambda: len(live.swarm.fleet.keepers) == 2)  # the stand-in
        asking.cancel()
        await _until(live, lambda: live.pids().get("w0") not in (None, before["w0"]))
        asking = asyncio.create_task(operations.scale(2))
        await asyncio.sleep(0)
        await within(operations.stop())
        with pytest.raises(NotRunningError, match="stopping"):
            await within(asking)
        with pytest.raises(NotRunningError):
            await operations.reload()
        operations.reload_soon()


async def _until(live: Live, condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        while True:
            change = live.swarm.fleet.next_change()
            if condition():
                return
            await change.wait()

    await within(wait())


async def test_no_worker_is_put_to_rest_before_all_have_started(monkeypatch) -> None:
    """The start waits for all of them: one that rests meanwhile would be waited for for ever."""
    monkeypatch.setattr("local_swarm.supervisor.load.SPARE_AFTER_S", 0.0)
    monkeypatch.setattr("local_swarm.supervisor.load._least", lambda load, settings: 0)
    quick = functools.partial(Idling, every_s=0.01)
    monkeypatch.setattr("local_swarm.swarm.compose.Idling", quick)
    live = live_of(with_(BASE, "swarm", workers=2, min_workers=1))
    async with contextlib.AsyncExitStack() as stack:
        swarm = (await within(stack.enter_async_context(live))).swarm
        assert swarm.workers == 2
        await until(swarm.fleet, lambda: len(swarm.fleet.endpoints()) < 2)

"""Mixed load on a swarm, every answer of which is looked at, and children killed under it.

A voted request must be answered whole. A stream of one voter (`:solo`, leader, /completion) may be
cut after its first byte, and must then end in an error event; both are counted apart.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import aiohttp
import psutil

REQUEST_S = 120.0
TOOL = {
    "type": "function",
    "function": {
        "name": "pick",
        "description": "Picks one.",
        "parameters": {
            "type": "object",
            "properties": {"which": {"type": "string", "enum": ["left", "right"]}},
            "required": ["which"],
            "additionalProperties": False,
        },
    },
}


class End(str, Enum):
    """How a request ended."""

    ANSWERED = "answered"
    CANCELLED = "cancelled"
    CUT = "cut, with an error event"
    REFUSED = "refused, with Retry-After"
    GONE = "nobody there any more"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request: `may_be_cut` is whether what it shows goes out before it is whole."""

    name: str
    path: str
    body: dict[str, Any]
    may_be_cut: bool = False
    voted: bool = True

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))


def kinds(model: str, max_tokens: int = 120) -> list[Kind]:
    """What agents and people send; the prompt is put in by `asked`."""
    chat = "/v1/chat/completions"
    plain: dict[str, Any] = {"model": model, "max_tokens": max_tokens}
    stream = {**plain, "stream": True}
    tools = {"tools": [TOOL], "tool_choice": "required"}
    solo = {**stream, "model": f"{model}:solo"}
    long = {**solo, "max_tokens": 6 * max_tokens, "ignore_eos": True}
    return [
        Kind("voted", chat, plain),
        Kind("voted, streamed", chat, stream),
        Kind("tool call", chat, {**plain, **tools}),
        Kind("tool call, streamed", chat, {**stream, **tools}),
        Kind("solo, streamed", chat, solo, may_be_cut=True, voted=False),
        Kind("solo, long", chat, long, may_be_cut=True, voted=False),
        Kind("leader", chat, {**stream, "swarm": {"stream": "leader"}}, True, voted=False),
        Kind("completion", "/completion", {"n_predict": 40}, voted=False),
        Kind("completion, streamed", "/completion", {"n_predict": 40, "stream": True}, True, False),
    ]


@dataclass
class Tally:
    """What has become of the requests, and the words of those that failed."""

    ends: Counter[tuple[str, End]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    voted: set[str] = field(default_factory=set)

    def add(self, kind: Kind, end: End, words: str = "") -> None:
        self.ends[kind.name, end] += 1
        if kind.voted:
            self.voted.add(kind.name)
        if end is End.FAILED:
            self.failures.append(f"{kind.name}: {words}")

    def count(self, end: End, *, voted: bool | None = None) -> int:
        """Over all kinds, or those that are voted, or those that are not."""
        return sum(
            n
            for (name, e), n in self.ends.items()
            if e is end and voted in (None, name in self.voted)
        )

    def figures(self) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for voted, name in ((True, "voted"), (False, "not voted")):
            counts = {end.value: self.count(end, voted=voted) for end in End}
            shown[name] = ", ".join(f"{n} {end}" for end, n in counts.items() if n)
        return shown


class Broken(Exception):
    """An answer that is not what it should be, in words."""


async def ask(client: aiohttp.ClientSession, url: str, kind: Kind, body: dict[str, Any]) -> End:
    """One request, its answer checked. Raises Broken and what aiohttp raises."""
    async with client.post(url + kind.path, json=body) as response:
        if response.status == 503 and "Retry-After" in response.headers:
            assert (await response.json())["error"]["message"]
            return End.REFUSED
        if response.status != 200:
            raise Broken(f"HTTP {response.status}: {await response.text()}")
        if not kind.stream:
            check_whole(kind, await response.json())
            return End.ANSWERED
        return await read_stream(kind, response)


def check_whole(kind: Kind, answer: dict[str, Any]) -> None:
    if kind.path == "/completion":
        if not answer.get("stop"):
            raise Broken(f"not ended: {answer}")
        return
    choice = answer["choices"][0]
    message = choice["message"]
    if not choice["finish_reason"] or not answer["swarm"]["answered"]:
        raise Broken(f"not ended: {answer}")
    if "tools" in kind.body and choice["finish_reason"] != "length":
        check_calls([call["function"] for call in message.get("tool_calls") or []])


def check_calls(calls: list[dict[str, Any]]) -> None:
    if not calls:
        raise Broken("no tool call")
    for call in calls:
        if call["name"] != "pick" or json.loads(call["arguments"])["which"] not in (
            "left",
            "right",
        ):
            raise Broken(f"not a call of the tool: {call}")


async def read_stream(kind: Kind, response: aiohttp.ClientResponse) -> End:
    shown = False
    calls: dict[int, dict[str, Any]] = {}
    finish: object = None
    event: dict[str, Any] = {}
    async for data in events(response):
        if data == "[DONE]":
            break
        event = json.loads(data)
        if "error" in event:
            if shown and kind.may_be_cut:
                return End.CUT
            raise Broken(f"an error event {'after' if shown else 'before'} content: {event}")
        shown = shown or bool(event.get("content"))
        finish = event.get("stop") or finish
        for choice in event.get("choices", ()):
            shown = shown or bool(choice["delta"].get("content"))
            finish = choice["finish_reason"] or finish
            gather(choice["delta"].get("tool_calls") or [], calls)
    else:
        if kind.path != "/completion":
            raise Broken(f"no [DONE] at the end; last: {event}")
    if not finish:
        raise Broken(f"the stream ended without a finish_reason: {event}")
    if "tools" in kind.body and finish != "length":
        check_calls(list(calls.values()))
    return End.ANSWERED


def gather(deltas: list[dict[str, Any]], calls: dict[int, dict[str, Any]]) -> None:
    for delta in deltas:
        call = calls.setdefault(delta["index"], {"name": "", "arguments": ""})
        function = delta.get("function", {})
        call["name"] += function.get("name") or ""
        call["arguments"] += function.get("arguments") or ""


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The data of each event. Raises what aiohttp raises for a connection that breaks off."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield line[6:].decode().rstrip("\n")
        elif line.startswith(b"error: "):
            raise Broken(line.decode())


@dataclass
class Load:
    """Clients that ask without a pause. `cancelled` is the share that leaves on the way."""

    url: str
    kinds: list[Kind]
    clients: int = 4
    cancelled: float = 0.15
    seed: int = 1
    tally: Tally = field(default_factory=Tally)
    sent: int = 0
    ending: bool = False  # the swarm was asked to stop: one day nobody will answer

    async def run(self, enough: Callable[[], bool]) -> Tally:
        """Asks until there is enough; what was begun is ended."""
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            rng = random.Random(self.seed)
            seeds = [rng.random() for _ in range(self.clients)]
            await asyncio.gather(*(self._client(client, seed, enough) for seed in seeds))
        return self.tally

    async def _client(
        self, client: aiohttp.ClientSession, seed: float, enough: Callable[[], bool]
    ) -> None:
        rng = random.Random(seed)
        while not enough() and not self.tally.count(End.GONE):
            kind = rng.choice(self.kinds)
            leaves_s = rng.uniform(0, 1) if rng.random() < self.cancelled else REQUEST_S
            await self.one(client, kind, leaves_s)

    async def one(self, client: aiohttp.ClientSession, kind: Kind, leaves_s: float) -> None:
        """One request, whose client leaves after so long."""
        self.sent += 1
        ending = self.ending
        text = f"Write a Python function `f{self.sent}(x)` that adds {self.sent} to x."
        given = (
            {"prompt": text}
            if kind.path == "/completion"
            else {"messages": [{"role": "user", "content": text}]}
        )
        try:
            end = await asyncio.wait_for(
                ask(client, self.url, kind, {**kind.body, **given}), leaves_s
            )
        except asyncio.TimeoutError:
            left = End.CANCELLED if leaves_s < REQUEST_S else End.FAILED
            self.tally.add(kind, left, f"no answer in {leaves_s:g} s")
        except aiohttp.ClientConnectionError as error:
            end = End.GONE if ending else End.FAILED
            self.tally.add(kind, end, f"{type(error).__name__}: {error}")
        except (Broken, aiohttp.ClientError, KeyError, ValueError) as error:
            self.tally.add(kind, End.FAILED, f"{type(error).__name__}: {error}")
        else:
            self.tally.add(kind, end)


# Children that die ------------------------------------------------------------------------


@dataclass
class Lives:
    """The workers as the swarm's own events tell of them."""

    states: dict[str, str] = field(default_factory=dict)
    killed: dict[str, float] = field(default_factory=dict)
    back_s: list[float] = field(default_factory=list)
    kills: int = 0
    frozen: int = 0
    fewest_ready: int = 1000
    story: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        if event["type"] == "hello":
            self.states = dict(event["workers"])
        if event["type"] == "worker":
            self._moved(event)
        ready = sum(state == "ready" for state in self.states.values())
        self.fewest_ready = min(self.fewest_ready, ready)

    def _moved(self, event: dict[str, Any]) -> None:
        worker, state, was = event["worker"], event["state"], self.states.get(event["worker"])
        self.story.append(f"{event['time']:.2f} {worker} {state}")
        self.states[worker] = state
        if state == "ready" and was != "ready" and worker in self.killed:
            self.back_s.append(event["time"] - self.killed.pop(worker))


async def states(client: aiohttp.ClientSession, url: str) -> dict[str, str]:
    async with client.get(f"{url}/v1/swarm/status") as response:
        return {row["id"]: row["state"] for row in (await response.json())["workers"]}


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Lives]:
    """The lives of the swarm's workers, as long as the context is open."""
    lives, heard = Lives(), asyncio.Event()
    timeout = aiohttp.ClientTimeout(total=None)

    async def listen() -> None:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.get(f"{url}/v1/swarm/events") as response,
        ):
            async for data in events(response):
                event = json.loads(data)
                if event["type"] == "dropped":  # we were too slow: what is it like by now?
                    event = {"type": "hello", "workers": await states(client, url)}
                lives.take(event)
                heard.set()

    listening = asyncio.create_task(listen(), name="lives")
    try:
        await asyncio.wait_for(heard.wait(), REQUEST_S)
        yield lives
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class Blows:
    """A worker that is ready is killed every `kill_s`, and one frozen (SIGSTOP) every
    `freeze_s`. Who is frozen is not killed: the swarm must see to it."""

    kill_s: float
    freeze_s: float
    seed: int = 1


async def batter(pids: Callable[[], dict[str, int]], lives: Lives, blows: Blows) -> None:
    """Deals the blows until it is cancelled. `pids` tells the processes of the workers that are
    ready now (blocks)."""
    rng = random.Random(blows.seed)
    began = time.monotonic()
    while True:
        await asyncio.sleep(blows.kill_s)  # the rhythm of the blows, not a wait for something
        ready = await asyncio.to_thread(pids)
        left = [(worker, pid) for worker, pid in ready.items() if not is_frozen(pid)]
        if not left:
            continue
        worker, pid = rng.choice(left)
        when = time.time()
        if (lives.frozen + 1) * blows.freeze_s <= time.monotonic() - began:
            lives.frozen += hit(pid, "suspend")
        elif hit(pid, "kill"):
            lives.killed.setdefault(worker, when)
            lives.kills += 1


def is_frozen(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def hit(pid: int, how: str) -> bool:
    """Kills or suspends the process; False where it has ended already."""
    try:
        getattr(psutil.Process(pid), how)()
    except psutil.NoSuchProcess:
        return False
    return True

"""opencode's turns through a gateway over fakes, and what would make it go round for ever.

A turn is one or more steps; a step is one request of the agent. The first turn also asks `:solo`
for a title. docs/clients.md lists the dangers and which test is about which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_swarm.gateway.stream import Pace
from tests.clients.opencode import Opencode
from tests.clients.running import idle
from tests.swarms import Shape, Swarm, swarm_of

CTX = 16384
AGENT = "filePath"  # in the schemas of the agent's tools: in its prompt alone
COMMENTS_ALL_THE_TIME = {"pace": Pace(first_byte_s=0.01, keepalive_s=0.01)}
ANSWERS = {AGENT: ["It is blue.", "It is blue.", "It is grey."], "": ["A title"]}


@pytest.fixture
def opencode(tmp_path: Path) -> Opencode:
    return Opencode.within(tmp_path)


def shape(answers: dict[str, Any], *faults: dict[str, Any], **script: Any) -> Shape:
    script = {"answers": answers, "faults": [{"when": AGENT, **f} for f in faults], **script}
    return Shape(slots=4, ctx=CTX, script=script)


def calls(tool: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"name": tool, "arguments": arguments}]}


async def steps(swarm: Swarm) -> list[str]:
    """How the agent's requests went that the worker has seen."""
    await idle(swarm)
    asked = (await swarm.fake())["requests"]
    return [request["status"] for request in asked if (request["body"] or {}).get("tools")]


async def test_it_writes_the_file_that_most_voters_want(opencode: Opencode) -> None:
    path = opencode.folder / "hello.py"
    wanted = calls("write", filePath=str(path), content="print('hello')\n")
    other = calls("write", filePath=str(path), content="print('bye')\n")
    answers = {"Wrote file": ["It is written."], AGENT: [wanted, other, wanted], "": ["A title"]}
    async with swarm_of(shape(answers, first_token_s=0.2), chat=COMMENTS_ALL_THE_TIME) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("Write hello.py")
        assert await steps(swarm) == ["done", "done"]
    assert turn.exit_code == 0, turn
    assert turn.finished == ["tool-calls", "stop"]
    assert turn.text == "It is written."
    assert path.read_text() == "print('hello')\n"


async def test_its_title_takes_one_voter_and_its_steps_take_all(opencode: Opencode) -> None:
    async with swarm_of(shape(ANSWERS)) as swarm:
        opencode.configure(swarm, CTX)
        assert (await opencode.run("What colour is the sky?")).text == "It is blue."
        asked = [request["body"] for request in (await swarm.fake())["requests"]]
    titles = [body for body in asked if not body.get("tools")]
    agents = [body for body in asked if body.get("tools")]
    assert [body.get("n", 1) for body in titles] == [1]
    assert [body["n"] for body in agents] == [3]
    assert agents[0]["temperature"] > 0  # it sends none, and three equal answers are no vote


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "at_token": 2},
        {"kind": "error", "at_token": 2},
        {"kind": "crash", "at_token": 2},
    ],
    ids=lambda fault: fault["kind"],
)
async def test_it_does_not_notice_a_worker_that_fails_in_the_middle(
    opencode: Opencode, tmp_path: Path, fault: dict[str, Any]
) -> None:
    lives = {"counter_file": str(tmp_path / "lives")}
    broken = shape(ANSWERS, {**fault, "times": 1, "lives": 1}, **lives)
    async with swarm_of(broken, chat=COMMENTS_ALL_THE_TIME) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("What colour is the sky?")
        assert (await steps(swarm))[-1] == "done"
    assert (turn.text, turn.finished, turn.errors) == ("It is blue.", ["stop"], [])


async def test_it_forgets_what_it_saw_of_a_stream_that_broke(opencode: Opencode) -> None:
    async with swarm_of(shape(ANSWERS, {"kind": "cut", "at_token": 2, "times": 1})) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("-m", "lswarm/fake:solo", "What colour is the sky?")
        assert await steps(swarm) == ["failed", "done"]
    assert (turn.text, turn.finished) == ("It is blue.", ["stop"])


async def test_it_comes_back_when_no_voter_could_answer(opencode: Opencode) -> None:
    async with swarm_of(shape(ANSWERS, {"kind": "status", "status": 500, "times": 3})) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("What colour is the sky?")
        assert await steps(swarm) == ["failed"] * 3 + ["done"]
    assert (turn.text, turn.finished) == ("It is blue.", ["stop"])


async def test_it_gives_up_a_request_that_kills_workers(opencode: Opencode) -> None:
    async with swarm_of(shape(ANSWERS, {"kind": "crash", "signal": 11})) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("What colour is the sky?")
    assert turn.exit_code == 1
    (error,) = turn.errors
    assert (error["data"]["statusCode"], error["data"]["isRetryable"]) == (400, False)
    assert "workers died under this request" in error["data"]["message"]


async def test_it_summarises_a_conversation_that_is_too_long_and_goes_on(
    opencode: Opencode,
) -> None:
    path = opencode.folder / "long.txt"
    path.write_text("some words of a line in it\n" * 1800)
    answers = {
        "context summarization agent": ["The file has been read."],
        "The file has been read.": ["All is done."],
        AGENT: [calls("read", filePath=str(path))],
        "": ["A title"],
    }
    async with swarm_of(shape(answers)) as swarm:
        opencode.configure(swarm, CTX)
        turn = await opencode.run("Read long.txt")
        assert await steps(swarm) == ["done", "done"]  # before and after the summary
    assert [error["name"] for error in turn.errors] == ["ContextOverflowError"]  # what it cured
    assert turn.text.endswith("All is done.")
    assert turn.finished[-1] == "stop"

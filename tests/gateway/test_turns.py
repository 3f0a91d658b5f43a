from __future__ import annotations

import pytest

from local_swarm.errors import InvalidRequest, UnknownModel
from local_swarm.gateway.turns import Served, Turn, turn_of
from local_swarm.wire.chat import ChatRequest

SERVED = Served(model_id="m", ctx=4096, context_train=32768, voters=3)


def turn(served: Served = SERVED, *, voting: int = 3, **body: object) -> Turn:
    chat = ChatRequest.parse({"messages": [{"role": "user", "content": "hi"}], **body})
    return turn_of(chat, served, voting_slots=voting, all_slots=voting + 1)


@pytest.mark.parametrize("model", ["m", "swarm", "", "gpt-4o"])
def test_the_model_its_alias_and_any_name_vote(model: str) -> None:
    assert turn(model=model) == Turn(want=3, quorum=2, strategy="auto", voted=True)


@pytest.mark.parametrize("model", ["m:solo", "swarm:solo", "gpt-4o:solo"])
def test_solo_goes_to_one_slot(model: str) -> None:
    got = turn(model=model, stream=True)
    assert (got.want, got.solo, got.voted, got.live) == (1, True, False, True)


def test_unknown_models_are_refused_where_configured() -> None:
    strict = Served(model_id="m", ctx=1, context_train=1, voters=3, unknown_model="404")
    assert turn(strict, model="m").voted
    with pytest.raises(UnknownModel):
        turn(strict, model="gpt-4o")


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 0},
        {"swarm": {"strategy": "off"}},
        {"swarm": {"stream": "leader"}, "stream": True},
        {"swarm": {"samples": 1}},
    ],
)
def test_no_vote_where_it_cannot_help(body: dict[str, object]) -> None:
    got = turn(**body)
    assert (got.want, got.voted, got.solo) == (1, False, False)
    assert got.why


def test_n_choices_are_all_asked_for() -> None:
    got = turn(n=4)
    assert (got.want, got.quorum, got.exact) == (4, 4, True)


def test_more_choices_than_slots_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        turn(n=5)
    assert caught.value.param == "n"


def test_samples_and_quorum_of_the_request_win() -> None:
    got = turn(swarm={"samples": 7, "quorum": 4})
    assert (got.want, got.quorum, got.exact) == (7, 4, True)


def test_fewer_slots_mean_fewer_voters() -> None:
    assert turn(voting=2).want == 2
    assert turn(voting=1).voted is False

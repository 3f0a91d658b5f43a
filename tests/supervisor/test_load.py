from __future__ import annotations

import dataclasses

import pytest

from local_swarm.supervisor.load import Load, LoadSettings, Move, decide

NOW = 1000.0
CALM = Load(
    NOW,
    running=3,
    lasting=3,
    spare=0,
    waiting_since=None,
    unwanted_since=None,
    roomy_since=None,
)
AUTO = LoadSettings()
SCALED = LoadSettings(min_workers=1)


def test_by_default_all_run_all_the_time() -> None:
    load = dataclasses.replace(CALM, unwanted_since=0.0, roomy_since=0.0)
    assert decide(load, AUTO) is Move.NOTHING


@pytest.mark.parametrize(
    ("unwanted_since", "running", "move"),
    [(None, 3, "nothing"), (NOW - 299, 3, "nothing"), (NOW - 300, 3, "sleep"), (0.0, 0, "nothing")],
)
def test_without_requests_for_so_long_they_sleep(
    unwanted_since: float | None, running: int, move: str
) -> None:
    load = dataclasses.replace(CALM, unwanted_since=unwanted_since, running=running)
    assert decide(load, LoadSettings(idle_unload_s=300.0)).value == move


@pytest.mark.parametrize(
    ("changes", "move"),
    [
        ({"roomy_since": NOW - 60}, "spare"),
        ({"roomy_since": NOW - 59}, "nothing"),
        ({"roomy_since": NOW - 60, "running": 1}, "nothing"),
        ({"spare": 1, "waiting_since": NOW - 2}, "start"),
        ({"spare": 1, "waiting_since": NOW - 1}, "nothing"),
        ({"spare": 0, "waiting_since": NOW - 9}, "nothing"),
    ],
)
def test_workers_come_and_go_with_the_load(changes: dict[str, float], move: str) -> None:
    assert decide(dataclasses.replace(CALM, **changes), SCALED).value == move


def test_spare_workers_are_started_where_fewer_run_than_should() -> None:
    """Another one has failed, or the setting was changed."""
    few = dataclasses.replace(CALM, running=1, lasting=1, spare=2)
    assert decide(few, SCALED) is Move.NOTHING
    assert decide(few, LoadSettings(min_workers=2)) is Move.START
    assert decide(few, AUTO) is Move.START
    coming_back = dataclasses.replace(few, lasting=2)
    assert decide(coming_back, LoadSettings(min_workers=2)) is Move.NOTHING


def test_never_fewer_than_a_whole_vote_needs() -> None:
    load = dataclasses.replace(CALM, roomy_since=0.0)
    assert decide(load, dataclasses.replace(SCALED, vote_workers=3)) is Move.NOTHING
    assert decide(load, dataclasses.replace(SCALED, vote_workers=2)) is Move.SPARE

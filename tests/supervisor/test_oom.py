from __future__ import annotations

from local_swarm.supervisor.oom import OomKills


def test_a_kill_is_recent_for_one_look_and_not_for_two() -> None:
    told: list[int | None] = [7]
    kills = OomKills(lambda: told[0])
    assert not kills.recent()
    told[0] = 8
    assert kills.recent()
    kills.look()
    assert kills.recent()
    kills.look()
    assert not kills.recent()


def test_where_the_kernel_does_not_tell_nothing_is_recent() -> None:
    told: list[int | None] = [None]
    kills = OomKills(lambda: told[0])
    assert not kills.recent()
    told[0] = 8
    assert not kills.recent()
    kills.look()
    kills.look()
    told[0] = None
    assert not kills.recent()

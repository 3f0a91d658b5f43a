"""What the memory watch is told: the host's room, and that of cards whose driver tells."""

from __future__ import annotations

from local_swarm import hardware
from local_swarm.config import Config, Supervisor
from local_swarm.domain.hardware import Device
from local_swarm.hardware.values import new_device
from local_swarm.supervisor.memory import Policy, Room
from local_swarm.swarm.sensing import Senses, memory_policy


def card(id_: str, *, integrated: bool = False, total: int | None = 1000) -> Device:
    made = new_device("nvidia", id=id_, backend="CUDA", total_bytes=total)
    return made if not integrated else new_device(None, id=id_, backend="CUDA", integrated=True)


def test_the_host_has_room_and_never_more_than_its_container() -> None:
    sensed = Senses(())()
    seen = hardware.memory_pressure()
    assert sensed.host is not None
    assert 0 < sensed.host.free_bytes <= sensed.host.total_bytes
    limits = [size for size in (seen.total_bytes, seen.limit_bytes) if size is not None]
    assert sensed.host.total_bytes == min(limits)
    assert sensed.devices == {}


def test_cards_that_do_not_tell_and_those_in_ram_are_left_out() -> None:
    cards = [card("A"), card("B", total=None), card("C", integrated=True), card("D")]
    asked: list[list[str]] = []

    def free(devices: list[Device]) -> dict[str, int]:
        asked.append([device.id for device in devices])
        return {"A": 7}

    assert Senses(cards, free)().devices == {"A": Room(1000, 7)}
    assert asked == [["A", "D"]]
    assert Senses([card("C", integrated=True)], free)().devices == {}
    assert len(asked) == 1


def test_what_is_watched_is_a_setting() -> None:
    assert memory_policy(Config(supervisor=Supervisor(memory_watch=False))) is None
    assert memory_policy(Config()) == Policy(min_free_bytes=None, relief_s=Supervisor().relief_s)
    config = Config(supervisor=Supervisor(min_free_bytes=5, relief_s=9.0))
    assert memory_policy(config) == Policy(min_free_bytes=5, relief_s=9.0)

"""What a changed setting needs: every one is in exactly one class, and the file says which."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import structs

from local_swarm.config import Config, Logs, Server, Swarm
from local_swarm.config.effects import _TABLE, EFFECTS, Effect, changed, of_effect, taking, value
from local_swarm.config.settings import SETTINGS

CONF = Path(__file__).parents[2] / "conf" / "lswarm.toml"


def test_every_setting_is_in_exactly_one_class() -> None:
    listed = [
        f"{section}.{key}"
        for sections in _TABLE.values()
        for section, keys in sections.items()
        for key in keys.split()
    ]
    assert sorted(listed) == sorted(SETTINGS)
    assert set(EFFECTS) == set(SETTINGS)


def test_the_example_file_names_those_that_need_a_restart_of_the_swarm() -> None:
    head = CONF.read_text().split("[server]")[0]
    text = " ".join(line.lstrip("# ") for line in head.splitlines())
    said = re.search(r"`lswarm reload` applies all keys but (.*?), which", text)
    assert said is not None
    names = set(re.findall(r"[a-z]+\.[a-z_]+", said[1]))
    assert names == set(of_effect(SETTINGS, Effect.RESTART))


def test_the_settings_that_differ_are_found_and_taken() -> None:
    old = Config()
    new = Config(server=Server(port=9, max_queue=3), swarm=Swarm(ctx=512), logs=Logs(level="debug"))
    names = changed(old, new)
    assert names == ("server.port", "server.max_queue", "swarm.ctx", "logs.level")
    assert of_effect(names, Effect.RESTART) == ("server.port",)
    assert of_effect(names, Effect.PLAN) == ("swarm.ctx",)
    back = taking(new, old, ["server.port", "swarm.ctx"])
    assert changed(back, new) == ("server.port", "swarm.ctx")
    assert (value(back, "server.max_queue"), value(back, "server.port")) == (3, 8000)
    assert structs.replace(back) == back

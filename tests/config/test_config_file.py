"""`conf/lswarm.toml` says what the schema says, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from local_swarm.config import Config, load
from local_swarm.config.settings import SECTIONS, SETTINGS
from local_swarm.config.values import allowed, checked

FILE = Path(__file__).parents[2] / "conf" / "lswarm.toml"
SHOWN = re.compile(r"^# (\w+) = (.*)$")


def blocks() -> dict[str, tuple[str, str]]:
    """By full name: the words above a shown key, and its value as written."""
    found: dict[str, tuple[str, str]] = {}
    section, words = "", []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif match := SHOWN.match(line):
            assert f"{section}.{match[1]}" not in found, "shown twice"
            found[f"{section}.{match[1]}"] = (" ".join(words), match[2])
        elif line.startswith("#"):
            words.append(line.removeprefix("# "))
            continue
        words = []
    return found


def test_the_file_shows_exactly_the_keys_of_the_schema_in_its_order():
    assert list(blocks()) == list(SETTINGS)


def test_the_file_as_it_is_gives_the_defaults(tmp_path):
    loaded = load(config_path=str(FILE), env={"LSWARM_HOME": str(tmp_path)}, cwd=tmp_path)
    assert loaded.config == Config()
    assert set(msgspec.toml.decode(FILE.read_text(encoding="utf-8"))) == set(SECTIONS)


def test_the_file_with_every_key_taken_in_gives_the_defaults(tmp_path):
    lines = FILE.read_text(encoding="utf-8").splitlines()
    whole = tmp_path / "whole.toml"
    whole.write_text("\n".join(SHOWN.sub(r"\1 = \2", line) for line in lines), encoding="utf-8")
    loaded = load(config_path=str(whole), env={"LSWARM_HOME": str(tmp_path)}, cwd=tmp_path)
    assert loaded.config == Config()
    assert {origin.kind for origin in loaded.origins.values()} == {"file"}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_key_is_shown_with_its_sentence_its_range_and_its_default(name):
    setting = SETTINGS[name]
    words, value = blocks()[name]
    assert setting.doc in words
    assert f"Allowed: {allowed(setting)}." in words
    assert ("Not from ./lswarm.toml." in words) == setting.guarded
    assert checked(setting, msgspec.toml.decode(f"v = {value}")["v"]) == setting.default


def test_every_setting_says_in_one_sentence_what_it_does():
    for setting in SETTINGS.values():
        assert re.fullmatch(r"[A-Z][^\n]*\.", setting.doc), setting.name

"""The file of the models' skills."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from local_swarm.consensus.scoring.skills import Showing, Skill, learn
from local_swarm.swarm.skills import SkillFile

KNOWN = {"a": Skill(votes=3.0, heard=2.5, agreed=1.5), "b": Skill(suite="s", passed=3, tests=4)}


@pytest.fixture
def file(tmp_path):
    return SkillFile(tmp_path / "state" / "skills.json")


def test_what_was_kept_is_known_again(file):
    assert file.read() == {}
    assert file.update(lambda known: {**known, **KNOWN}) == KNOWN
    assert file.read() == KNOWN
    assert sorted(os.listdir(file.path.parent)) == ["skills.json", "skills.json.lock"]


def test_two_swarms_that_learn_at_once_lose_nothing(file):
    def one(_):
        file.update(lambda known: learn(known, [Showing({"a": 1.0}, 0.5)]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(20)))
    assert file.read() == learn({}, [Showing({"a": 1.0}, 0.5)] * 20)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b'{"version":1,"models":{"a":{"vo',
        b'{"version":1}',
        b'{"version":1,"models":{"a":{"votes":-1}}}',
        b'{"version":1,"models":{"a":{"votes":"many"}}}',
    ],
)
def test_a_damaged_file_is_set_aside_with_a_warning(file, damage, caplog):
    file.path.parent.mkdir()
    file.path.write_bytes(damage)
    assert file.read() == {}
    assert "cannot be used" in caplog.text
    assert file.path.with_name("skills.json.damaged-1").read_bytes() == damage
    assert file.update(lambda known: {**known, **KNOWN}) == KNOWN
    assert file.read() == KNOWN


def test_what_earlier_programs_wrote_is_read(file):
    file.path.parent.mkdir()
    file.path.write_bytes(b'{"version":1,"models":{"a":{"votes":3.0,"heard":2.5,"agreed":1.5}}}')
    assert file.read() == {"a": KNOWN["a"]}


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "state").write_text("a file where the folder should be")
    file = SkillFile(tmp_path / "state" / "skills.json")
    assert file.update(lambda known: {**known, **KNOWN}) == KNOWN
    assert "the models' skills cannot be read" in caplog.text


def test_a_change_that_fails_leaves_the_file_as_it_was(file):
    file.update(lambda _: KNOWN)
    with pytest.raises(ZeroDivisionError):
        file.update(lambda _: 1 / 0)
    assert file.read() == KNOWN

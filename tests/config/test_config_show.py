"""What `lswarm config show` prints."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.config import Loaded
from local_swarm.config.settings import SETTINGS
from local_swarm.config.show import as_toml, rows


def test_every_setting_is_shown_once_with_its_origin(desk):
    shown = rows(desk.load(env={"LSWARM_SWARM__VOTERS": "5"}))
    assert [row.key for row in shown] == list(SETTINGS)
    voters = next(row for row in shown if row.key == "swarm.voters")
    assert voters == ("swarm.voters", 5, "environment LSWARM_SWARM__VOTERS")


def test_secrets_are_masked_and_the_rest_is_json(desk):
    env = {"LSWARM_SERVER__API_KEYS": "hush1,hush2", "LSWARM_ENGINE__API_KEY": "hush3"}
    shown = json.dumps(rows(desk.load(env=env)))
    assert "hush" not in shown
    assert shown.count("****") > 0


def test_a_secret_that_is_not_set_is_shown_as_empty():
    shown = {row.key: row.value for row in rows(Loaded())}
    assert (shown["server.api_keys"], shown["engine.api_key"]) == ([], "")


@given(st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.lists(st.text()))
def test_a_value_is_written_as_toml_reads_it(value):
    assert msgspec.toml.decode(f"v = {as_toml(value)}")["v"] == value


@pytest.mark.parametrize("value", [0.5, 600.0, 1e-07, 1e22])
def test_a_float_is_written_as_toml_reads_it(value):
    assert msgspec.toml.decode(f"v = {as_toml(value)}")["v"] == value

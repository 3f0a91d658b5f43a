"""Which source wins, what each may say, and what a person is told when it is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.config import Config, Loaded, Origin
from local_swarm.config.checks import is_loopback
from local_swarm.config.settings import SETTINGS
from local_swarm.config.values import BadValue, checked, parsed
from local_swarm.errors import ConfigError

FromText = Callable[[str], Loaded]


def test_without_any_source_everything_is_default(desk):
    loaded = desk.load()
    assert loaded.config == Config()
    assert set(loaded.origins) == set(SETTINGS)
    assert set(loaded.origins.values()) == {Origin("default")}
    assert loaded.path is None


def test_flag_wins_over_environment_over_file_over_default(desk):
    desk.write(desk.user_file, "[swarm]\nvoters = 2\nworkers = 2\nslots = 2\n")
    loaded = desk.load(
        env={"LSWARM_SWARM__WORKERS": "3", "LSWARM_SWARM__SLOTS": "3"},
        flags={"swarm.slots": 4, "swarm.ctx": None},
    )
    swarm = loaded.config.swarm
    assert (swarm.voters, swarm.workers, swarm.slots, swarm.ctx) == (2, 3, 4, "auto")
    assert [
        str(loaded.origins[f"swarm.{key}"]) for key in ("voters", "workers", "slots", "ctx")
    ] == [
        f"file {desk.user_file}:2",
        "environment LSWARM_SWARM__WORKERS",
        "flag",
        "default",
    ]


def test_each_place_for_the_file_wins_over_the_next(desk):
    def port() -> int:
        return desk.load(env=env, config_path=config_path).config.server.port

    env, config_path = {}, None
    if sys.platform == "linux":
        desk.write(desk.system_file, "[server]\nport = 1\n")
        assert port() == 1
    desk.write(desk.user_file, "[server]\nport = 2\n")
    assert port() == 2
    desk.write(desk.local_file, "[server]\nport = 3\n")
    assert port() == 3
    env = {"LSWARM_CONFIG": str(desk.write(desk.work / "env.toml", "[server]\nport = 4\n"))}
    assert port() == 4
    desk.write(desk.work / "flag.toml", "[server]\nport = 5\n")
    config_path = "flag.toml"
    assert port() == 5


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("--config", {"config_path": "away.toml"}),
        ("LSWARM_CONFIG", {"env": {"LSWARM_CONFIG": "away.toml"}}),
    ],
)
def test_a_named_file_that_does_not_exist_is_an_error(desk, how, named):
    with pytest.raises(ConfigError, match=rf"away\.toml, named by {how}, does not exist"):
        desk.load(**named)


@pytest.mark.parametrize(
    "text",
    [
        '[engine]\npath = "./evil"',
        '[engine]\nargs = ["--x"]',
        '[engine]\nname = "llama-server"',
        '[engine]\napi_key = "known"',
        '[server]\nhost = "127.0.0.2"',
        '[server]\napi_keys = ["known"]',
        '[server]\nallowed_hosts = ["evil.example"]',
        "[federation]\nenabled = true",
        '[logs]\ndir = "."',
        "[logs]\nprompts = true",
        '[models]\ncache_dir = "."',
        "[consensus]\nexecute = true",
        '[consensus]\nembeddings_url = "http://evil.example/v1"\nembeddings_model = "e"',
    ],
)
def test_a_file_found_in_the_working_directory_opens_no_door(desk, text):
    desk.write(desk.local_file, text)
    with pytest.raises(ConfigError, match=r"user's config file, or name this file with --config"):
        desk.load()
    kinds = {origin.kind for origin in desk.load(config_path="lswarm.toml").origins.values()}
    assert kinds == {"default", "file"}


def test_every_guarded_section_is_guarded_as_a_whole():
    assert all(setting.guarded for setting in SETTINGS.values() if setting.section == "federation")
    assert all(setting.guarded for setting in SETTINGS.values() if setting.secret)


def test_the_users_own_file_is_trusted_even_in_its_own_directory(desk):
    desk.write(desk.user_file, '[engine]\npath = "/opt/engine"\n')
    desk.work = desk.user_file.parent
    assert desk.load().config.engine.path == "/opt/engine"


def test_an_unknown_key_names_its_place_and_the_nearest_known_one(desk, from_user_file: FromText):
    with pytest.raises(ConfigError) as caught:
        from_user_file("[server]\nport = 1\nhots = 'x'\n")
    assert f"{desk.user_file}:3: unknown key server.hots" in caught.value.message
    assert "nearest known one is server.host." in caught.value.message


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[sever]\nport = 1", "[server]"),
        ("[server]\nvoters = 3", "swarm.voters"),
        ("voters = 3", "swarm.voters"),
        ("[serve]\nprot = 3", "[server]"),
        ("[[swam]]\n", "[swarm]"),
    ],
)
def test_the_nearest_name_is_found_across_sections(from_user_file: FromText, text, nearest):
    with pytest.raises(ConfigError) as caught:
        from_user_file(text)
    assert f"the nearest known one is {nearest}." in caught.value.message


def test_an_unknown_variable_names_the_nearest_one(desk):
    with pytest.raises(ConfigError, match=r"LSWARM_SERVER__PROT.*LSWARM_SERVER__PORT"):
        desk.load(env={"LSWARM_SERVER__PROT": "1"})


def test_single_name_variables_are_no_settings(desk):
    assert desk.load(env={"LSWARM_PARENT_PID": "7", "OTHER__X": "1"}).config == Config()


@pytest.mark.parametrize("unknown", ["server.prot", "prot", ""])
def test_an_unknown_flag_name_is_an_error(desk, unknown):
    with pytest.raises(ConfigError, match="nearest known one is"):
        desk.load(flags={unknown: 1})


@pytest.mark.parametrize("text", ["server = 3", "[[server]]\nport = 1"])
def test_a_section_must_be_a_section(from_user_file: FromText, text):
    with pytest.raises(ConfigError, match=r"server is a section, written \[server\]"):
        from_user_file(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nport = 'x'", "server.port is 'x'"),
        ("[server]\nport = 65536", "a whole number from 0 to 65535"),
        ("[server]\nport = true", "server.port is true"),
        ("[server]\nport = 80.0", "server.port is 80.0"),
        ("[server]\nunknown_model = 404", '"accept" or "404"'),
        ("[swarm]\nvoters = 33", 'a whole number from 1 to 32, or "auto"'),
        ("[swarm]\nctx = 255", "from 256 to"),
        ("[swarm]\ntimeout_s = nan", "swarm.timeout_s is nan"),
        ("[swarm]\ntimeout_s = 0", "above 0"),
        ("[hardware]\nram_fraction = 1.1", "above 0 and up to 1"),
        ("[hardware]\nram_fraction = 0", "above 0 and up to 1"),
        ("[server]\nallowed_hosts = 'a'", "a list of texts"),
        ("[logs]\nlevel = 'loud'", '"debug" or "info"'),
        ("[logs]\nprompts = 1", "true or false"),
        ("[models]\npreferred = 1979-05-27", "a list of texts"),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_what_is_allowed(
    desk, from_user_file: FromText, text, message
):
    with pytest.raises(ConfigError) as caught:
        from_user_file(text)
    assert message in caught.value.message
    assert f"(from file {desk.user_file}:2)" in caught.value.message


def test_all_problems_are_told_at_once(desk):
    desk.write(desk.user_file, "[server]\nport = -1\nhots = 1\n[nowhere]\n")
    with pytest.raises(ConfigError) as caught:
        desk.load(env={"LSWARM_LOGS__LEVEL": "loud"}, flags={"swarm.voters": "many"})
    for part in (
        "5 settings",
        "server.port",
        "server.hots",
        "[nowhere]",
        "logs.level",
        "swarm.voters",
    ):
        assert part in caught.value.message


@pytest.mark.parametrize(
    "env", [{"LSWARM_SERVER__API_KEYS": "hush hush"}, {"LSWARM_ENGINE__API_KEY": "hush hush"}]
)
def test_a_wrong_secret_is_not_shown(desk, env):
    with pytest.raises(ConfigError) as caught:
        desk.load(env=env)
    assert "hush" not in str(caught.value)


def test_bad_toml_is_told_with_file_line_and_column(desk, from_user_file: FromText):
    with pytest.raises(ConfigError) as caught:
        from_user_file("[server]\nport = = 1\n")
    assert str(desk.user_file) in caught.value.message
    assert "line 2, column 8" in caught.value.message


def test_a_file_that_is_no_text_and_a_folder_are_told(desk):
    desk.write(desk.user_file, "").write_bytes(b"[server]\n# \xff\n")
    with pytest.raises(ConfigError, match="is not UTF-8 text, at byte 11"):
        desk.load()
    with pytest.raises(ConfigError, match="cannot be read"):
        desk.load(config_path=str(desk.work))


def test_a_byte_order_mark_and_windows_line_ends_are_read(desk):
    desk.write(desk.user_file, "").write_bytes(b"\xef\xbb\xbf[server]\r\nport = 9\r\n")
    assert desk.load().config.server.port == 9


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("SERVER__PORT", "0", 0),
        ("SWARM__VOTERS", "auto", "auto"),
        ("SWARM__VOTERS", "7", 7),
        ("SWARM__TIMEOUT_S", "1.5", 1.5),
        ("SWARM__TIMEOUT_S", "2", 2.0),
        ("FEDERATION__ENABLED", "Yes", True),
        ("FEDERATION__ENABLED", "0", False),
        ("SERVER__API_KEYS", "a, b,", ("a", "b")),
        ("SERVER__API_KEYS", "", ()),
        ("SERVER__API_KEYS", '["a,b", "c"]', ("a,b", "c")),
        ("ENGINE__ARGS", "['--x', '1']", ("--x", "1")),
        ("SERVER__UNKNOWN_MODEL", "404", "404"),
    ],
)
def test_a_variable_is_read_by_the_type_of_its_setting(desk, variable, text, value):
    config = desk.load(env={f"LSWARM_{variable}": text}).config
    section, key = variable.lower().split("__")
    assert getattr(getattr(config, section), key) == value


@pytest.mark.parametrize("text", ["2,1", "2, 1", "[2, 1]", "[2.0, 1]"])
def test_numbers_of_a_list_are_read_from_the_environment(desk, text):
    split = desk.load(env={"LSWARM_SWARM__TENSOR_SPLIT": text}).config.swarm.tensor_split
    assert split == (2.0, 1.0)
    assert [type(part) for part in split] == [float, float]


def test_numbers_of_a_list_are_read_from_a_file(from_user_file: FromText):
    split = from_user_file("[swarm]\ntensor_split = [2, 1]\n").config.swarm.tensor_split
    assert split == (2.0, 1.0)
    assert [type(part) for part in split] == [float, float]


@pytest.mark.parametrize("text", ["2,x", "2,-1", "2,nan", "2,inf", '[2, "x"]', "true"])
def test_what_is_no_list_of_numbers_is_told_with_what_is_allowed(desk, text):
    with pytest.raises(ConfigError) as caught:
        desk.load(env={"LSWARM_SWARM__TENSOR_SPLIT": text})
    assert "swarm.tensor_split is" in caught.value.message
    assert "(from environment LSWARM_SWARM__TENSOR_SPLIT)" in caught.value.message
    assert "must be a list of numbers, each from 0 to 1000000" in caught.value.message
    with pytest.raises(BadValue, match="a list of numbers"):
        checked(SETTINGS["swarm.tensor_split"], parsed(SETTINGS["swarm.tensor_split"], text))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com", "[::1]"])
def test_a_host_others_can_reach_needs_a_key(desk, host):
    env = {"LSWARM_SERVER__HOST": host}
    with pytest.raises(ConfigError, match=r"server\.api_keys must not be empty"):
        desk.load(env=env)
    assert desk.load(env={**env, "LSWARM_SERVER__API_KEYS": "k"}).config.server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"])
def test_loopback_needs_no_key(host):
    assert is_loopback(host)


@pytest.mark.parametrize("keys", ['[""]', '["a b"]', '["ключ"]', '["a\\n"]'])
def test_a_key_that_no_header_can_carry_is_refused(desk, keys):
    desk.write(desk.user_file, f'[server]\nhost = "0.0.0.0"\napi_keys = {keys}\n')
    with pytest.raises(ConfigError, match="ASCII"):
        desk.load()


@pytest.mark.parametrize(
    "text",
    [
        "[swarm]\nvoters = 3\nquorum = 4",
        "[supervisor]\nbackoff_initial_s = 2\nbackoff_max_s = 1",
    ],
)
def test_settings_that_contradict_each_other_are_told(from_user_file: FromText, text):
    with pytest.raises(ConfigError, match="must not be above"):
        from_user_file(text)


def test_a_strategy_that_runs_answers_needs_the_leave_to(from_user_file: FromText):
    with pytest.raises(ConfigError, match=r"consensus\.execute must be true"):
        from_user_file('[swarm]\nstrategy = "execution"')
    allowed = '[swarm]\nstrategy = "execution"\n[consensus]\nexecute = true'
    assert from_user_file(allowed).config.consensus.execute


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8001",
        "ftp://x/v1",
        "http://",
        "http://x:99999",
        "http://a@x",
        "http://x?y",
        "http://x/a b",
        "http://x/é",
        "http://a..b/v1",
        f"http://{'x' * 64}/v1",
    ],
)
def test_a_server_for_embeddings_needs_an_address_and_a_model(from_user_file: FromText, url):
    wrong = f'[consensus]\nembeddings_model = "e"\nembeddings_url = "{url}"'
    with pytest.raises(ConfigError, match="embeddings_url"):
        from_user_file(wrong)
    right = '[consensus]\nembeddings_url = "http://127.0.0.1:8001/v1"'
    with pytest.raises(ConfigError, match="embeddings_model must be too"):
        from_user_file(right)
    assert from_user_file(f'{right}\nembeddings_model = "e"').config.consensus.embeddings_model


@pytest.mark.parametrize("name", ["*", "desk.local:8000", "http://desk.local", "*.local", ""])
def test_an_allowed_host_that_would_never_match_is_refused(from_user_file: FromText, name):
    with pytest.raises(ConfigError, match="allowed_hosts"):
        from_user_file(f'[server]\nallowed_hosts = ["desk.local", "::1", "{name}"]')


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(setting=st.sampled_from(list(SETTINGS.values())), value=ANYTHING)
def test_whatever_a_value_is_it_is_taken_or_refused(setting, value):
    try:
        taken = checked(setting, value)
    except BadValue:
        return
    assert checked(setting, taken) == taken


@given(setting=st.sampled_from(list(SETTINGS.values())), text=st.text())
def test_any_text_can_be_read_and_defaults_read_back(setting, text):
    parsed(setting, text)
    if not isinstance(setting.default, tuple):
        assert checked(setting, parsed(setting, str(setting.default))) == setting.default

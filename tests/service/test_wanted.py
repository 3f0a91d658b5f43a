"""What is asked on the command line, as the service will find it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local_swarm.errors import UsageError
from local_swarm.service import NoServiceManager, Surroundings, Target, running, usual, wanted
from local_swarm.service.base import run_command
from local_swarm.service.files import filled, template
from tests.service.managers import around


def test_options_come_before_what_goes_to_the_engine():
    words = wanted.up_words(
        ("--voters", "3", "--", "--mlock"), config=Path("/a b.toml"), port=0, model=None
    )
    assert words == (
        *("up", "--voters", "3", "--config", "/a b.toml", "--port", "0", "--", "--mlock"),
    )
    assert wanted.up_words((), config=None, port=None, model="m") == ("up", "--model", "m")


def test_a_model_that_is_a_file_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gguf").touch()
    assert wanted.absolute_model("m.gguf") == str(tmp_path / "m.gguf")
    assert wanted.absolute_model("qwen:7b") == "qwen:7b"
    assert wanted.absolute_model(None) is None


def test_of_the_environment_the_way_to_programs_is_kept_and_no_secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = {
        "PATH": "/a:relative:/b:/a",
        "LSWARM_HOME": "here",
        "LSWARM_SERVER__API_KEYS": "secret",
        "HOME": "/root",
    }
    assert wanted.environment(env) == {"PATH": "/a:/b", "LSWARM_HOME": str(tmp_path / "here")}
    assert wanted.left_behind({**env, "LSWARM_CONFIG": "x"}) == ["LSWARM_SERVER__API_KEYS"]


def test_the_outermost_wall_is_named(tmp_path):
    inner = tmp_path / "open" / "closed" / "open"
    inner.mkdir(parents=True)
    (inner / "file").touch(mode=0o644)
    tmp_path.joinpath("open").chmod(0o755)
    (tmp_path / "open/closed").chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(inner / "file")
    with pytest.raises(UsageError) as caught:
        wanted.check_open([Path("/usr/bin/env"), link], Target())
    walls = [p for p in inner.parents if f"{p} is closed" in caught.value.message]
    assert walls, caught.value.message  # pytest's own folder is closed too


def test_who_does_not_exist_is_refused():
    wanted.check_user("root")
    with pytest.raises(UsageError, match="nobody-here"):
        wanted.check_user("nobody-here")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a.b", "x" * 65, "ä", "a\n"])
def test_names_that_are_no_name_of_a_file_are_refused(name):
    with pytest.raises(UsageError):
        Target(name)


def test_every_unit_is_named_as_ours():
    assert Target().unit == "lswarm"
    assert Target("ssh").unit == "lswarm-ssh"


@pytest.mark.parametrize(
    ("platform", "env", "name"),
    [
        ("linux", {}, "systemd"),
        ("linux", {"PREFIX": "/usr"}, "systemd"),
        ("linux", {"PREFIX": "/data/data/com.termux/files/usr"}, "termux"),
        ("android", {"PREFIX": "/data/data/com.termux/files/usr"}, "termux"),
        ("darwin", {}, "launchd"),
        ("win32", {}, "windows"),
        ("freebsd14", {}, "systemd"),
    ],
)
def test_each_system_has_its_manager(tmp_path, platform, env, name):
    assert usual(around(tmp_path, env=env)[0], platform).name == name


def test_no_manager_is_an_error_that_says_what_to_do_instead(tmp_path):
    manager = usual(around(tmp_path)[0], "linux")
    with pytest.raises(NoServiceManager, match="does not run this machine") as caught:
        running(manager, True)
    assert caught.value.exit_code == 8
    assert "service print" in caught.value.hint


def test_a_command_is_run_and_never_raises():
    assert run_command((sys.executable, "-c", "print(1)")).out == "1\n"
    assert run_command(("no-such-program",)).code == 127
    assert run_command((sys.executable, "-c", "input()")).code != 0, "nothing to read from"
    late = run_command((sys.executable, "-c", "import time; time.sleep(60)"), 0.05)
    assert late.code == 124


def test_empty_values_leave_no_empty_lines_and_others_stay():
    content = filled("termux-run.sh", {"prefix": "/p", "environment": "", "command": "x"}).decode()
    assert content.splitlines()[0] == "#!/p/bin/sh"
    assert "\n\n" not in content
    assert template("launchd.plist").startswith(b"<?xml")


def test_root_may_be_asked_for_where_there_is_none(tmp_path):
    assert Surroundings().is_root in (True, False)
    around(tmp_path, is_root=False)[0].needs_root(False)

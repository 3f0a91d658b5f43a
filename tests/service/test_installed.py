"""What was installed is read back, and compared with what would be installed now."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local_swarm.service import MANAGERS, Manager, Service, ServiceError, Target
from local_swarm.service.installed import (
    config_of,
    install_command,
    is_current,
    of_program,
    settings_are_open,
    targets,
)
from local_swarm.service.systemd import command_line, described, environment_lines
from local_swarm.service.windows import words as windows_words
from tests.service.managers import around

PROGRAM = ("/opt/x/bin/python", "-X", "faulthandler", "-m", "local_swarm")
UP = ("up", "--voters", "3", "--config", "/etc/my swarm.toml", "--", "--mlock", 'a"b\\', "50%$HOME")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def manager_of(name: str, tmp_path: Path) -> Manager:
    env = {"PREFIX": str(tmp_path / "usr"), "LOCALAPPDATA": str(tmp_path), "USERNAME": "me"}
    (tmp_path / "usr/var/service").mkdir(parents=True)
    return MANAGERS[name](around(tmp_path, env=env)[0])


def wanted(**fields) -> Service:
    environment = {"LSWARM_HOME": "/home/me/a b"}
    return Service(
        **{"target": Target(), "command": PROGRAM + UP, "environment": environment, **fields}
    )


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Manager:
    return manager_of(request.param, tmp_path)


def test_what_was_installed_is_read_back(manager: Manager) -> None:
    service = wanted(target=Target("big"))
    manager.install(service)
    (target,) = targets(manager, False)
    found = manager.read(target)
    assert (found.target, found.environment) == (service.target, service.environment)
    assert found.command[1:] == service.command[1:]
    assert is_current(manager, found)
    assert is_current(manager, service)


def test_a_unit_of_other_settings_or_another_template_is_not_current(manager: Manager) -> None:
    service = wanted()
    manager.install(service)
    found = manager.read(Target())
    assert not is_current(manager, replace(found, command=(*found.command, "--verbose")))
    file = manager.files(service)[-1].path
    file.write_bytes(
        file.read_bytes() + "\n".encode("utf-16-le" if b"\0" in file.read_bytes() else "utf-8")
    )
    assert not is_current(manager, found)


@pytest.mark.parametrize("name", ["systemd", "launchd"])
def test_the_time_to_stop_is_a_part_of_it(name: str, tmp_path: Path) -> None:
    manager = manager_of(name, tmp_path)
    manager.install(wanted(stop_s=300.5))
    found = manager.read(Target())
    assert is_current(manager, found)
    assert not is_current(manager, replace(found, stop_s=30.0))


@pytest.mark.parametrize(
    ("name", "user"), [("systemd", ""), ("systemd", "somebody"), ("launchd", "somebody")]
)
def test_a_service_of_the_machine_keeps_its_user(name: str, user: str, tmp_path: Path) -> None:
    manager = manager_of(name, tmp_path)
    service = wanted(target=Target(system=True), user=user)
    manager.install(service)
    assert list(targets(manager, False)) == []
    (target,) = targets(manager, True)
    assert manager.read(target) == service


def test_only_ours_are_found(manager: Manager) -> None:
    for name in ("lswarm", "two", "three"):
        manager.install(wanted(target=Target(name)))
    one = manager.path(Target())
    (one.parent / one.name.replace("lswarm", "lswarmed")).mkdir()
    (one.parent / one.name.replace("lswarm", "lswarm-a b")).mkdir()
    assert {target.name for target in targets(manager, False)} == {"lswarm", "three", "two"}


@pytest.mark.parametrize(
    "content", [b"", b"[Service]\nExecStart=x\n", b"\xff\xfe", b"<a/>", b"exec"]
)
def test_what_is_not_ours_is_said_to_be_none(manager: Manager, content: bytes) -> None:
    service = wanted()
    manager.install(service)
    manager.files(service)[-1].path.write_bytes(content)
    with pytest.raises(ServiceError, match="is not what"):
        manager.read(Target())
    with pytest.raises(ServiceError, match="Cannot read"):
        manager.read(Target("other"))


@given(st.lists(TEXT, min_size=1), st.dictionaries(st.sampled_from("AB"), TEXT))
@example(["$$ %% \\n", "two\nlines", "", '"\\"'], {})
def test_systemds_quoting_has_an_inverse(words: list[str], env: dict[str, str]) -> None:
    lines = [f"ExecStart={command_line(words)}", environment_lines(env), "TimeoutStopSec=60"]
    found = described(Target(), "\n".join(lines))
    assert (list(found.command), found.environment, found.stop_s) == (words, env, 30.0)


@given(st.lists(st.text(st.sampled_from('ab \t"\\')), min_size=1))
def test_the_quoting_of_windows_has_one_too(words: list[str]) -> None:
    assert windows_words(subprocess.list2cmdline(words)) == words


def test_another_program_runs_the_same_words() -> None:
    assert of_program(wanted(), ("/new/python", "-m", "local_swarm")).command == (
        *("/new/python", "-m", "local_swarm"),
        *UP,
    )


@pytest.mark.parametrize(
    ("words", "config"),
    [
        (("--config", "/a"), "/a"),
        (("--config=/a", "--", "--config", "/b"), "/a"),
        (("--", "--config", "/b"), None),
        (("--config", "/a", "--config=/b"), "/b"),
        ((), None),
    ],
)
def test_the_settings_file_of_the_service_is_found(
    words: tuple[str, ...], config: str | None
) -> None:
    assert config_of(wanted(command=(*PROGRAM, "up", *words))) == config


def test_the_settings_of_another_user_are_not_known_here(tmp_path: Path) -> None:
    here, machine = {"LSWARM_HOME": str(tmp_path)}, Target(system=True)
    bare = (*PROGRAM, "up")
    assert settings_are_open(wanted(command=bare, environment={}))
    assert settings_are_open(wanted(command=bare, target=machine, environment=here))
    assert not settings_are_open(wanted(command=bare, target=machine, environment={}))
    gone = {"LSWARM_HOME": str(tmp_path / "no")}
    assert not settings_are_open(wanted(command=bare, target=machine, environment=gone))


def test_the_command_that_installs_it_again_is_told() -> None:
    assert install_command(wanted(command=(*PROGRAM, "up"))) == "lswarm service install"
    service = wanted(target=Target("big", True), user="me")
    assert install_command(service) == (
        "lswarm service install --system --name big --run-as me -- --voters 3 --config"
        " '/etc/my swarm.toml' -- --mlock 'a\"b\\' '50%$HOME'"
    )

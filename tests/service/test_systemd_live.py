"""A real systemd runs the service: starts it, sees it ready, watches it, stops it.

The systemd is a private one (`private_systemd.py`); nothing of this machine is touched.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_swarm.service.systemd import command_line, environment_lines
from tests.service.private_systemd import Machine, machine, missing, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.engine,
    pytest.mark.skipif(missing() is not None, reason=f"no private systemd here: {missing()}"),
]

ROOT = Path(__file__).parents[2]
LSWARM = (sys.executable, "-m", "local_swarm")
UNIT = "lswarm.service"
QUICK = "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\nRestartSec=1\n"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if any(path.stat().st_dev != Path("/").stat().st_dev for path in (ROOT, Path(sys.prefix))):
        pytest.skip("the program is not on the root file system, which is what is copied")
    if any(path.is_relative_to("/tmp") for path in (ROOT, Path(sys.prefix))):
        pytest.skip("the program lies below /tmp, which a unit with PrivateTmp does not see")
    with machine(tmp_path_factory.mktemp("systemd")) as host:
        for path in (sys.executable, str(Path(sys.executable).resolve()), str(ROOT)):
            host.open_up(path)
        yield host


def service(host: Machine, *words: str) -> str:
    """`lswarm service ...` for a service of the machine; returns what it printed."""
    done = host.run(*LSWARM, "service", words[0], "--system", *words[1:])
    return done.stdout


def ask(host: Machine, port: int) -> str:
    body = {"model": "swarm", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
    return host.python(
        "import json, urllib.request as r;"
        f"q = r.Request('http://127.0.0.1:{port}/v1/chat/completions',"
        f" {json.dumps(body)!r}.encode(), {{'Content-Type': 'application/json'}});"
        "print(json.load(r.urlopen(q, timeout=50))['object'])"
    ).strip()


def test_a_service_is_installed_started_watched_and_stopped(host: Machine) -> None:
    service(host, "install", "--model", "builtin:demo", "--port", "8000")
    host.write(f"/etc/systemd/system/{UNIT}.d/quick.conf", QUICK)
    host.run("systemctl", "daemon-reload")
    status = host.run(*LSWARM, "service", "status", "--system", "--json", check=False)
    assert status.returncode == 8
    assert json.loads(status.stdout)["state"] == "stopped"

    service(host, "start")
    told = json.loads(service(host, "status", "--json"))
    assert (told["state"], told["enabled"]) == ("running", True)
    until(
        lambda: "ready: 1 of 1 workers" in host.show(UNIT, "StatusText")["StatusText"],
        "the status line to follow the workers",
    )
    assert ask(host, 8000) == "chat.completion"
    processes = host.processes(UNIT)
    assert len(processes) > 1
    assert {p.uids().real for p in processes} & {0} == set(), "it runs as root"

    main = host.show(UNIT, "MainPID")["MainPID"]
    host.run("systemctl", "reload", UNIT)
    until(lambda: host.show(UNIT, "ActiveState")["ActiveState"] == "active", "the reload's end")
    assert ask(host, 8000) == "chat.completion"
    assert host.show(UNIT, "MainPID", "NRestarts") == {"MainPID": main, "NRestarts": "0"}

    # A loop that does not turn: the watchdog ends it, and systemd starts it again.
    host.run("kill", f"-{signal.SIGSTOP.value}", main)
    until(lambda: host.show(UNIT, "Result")["Result"] == "watchdog", "the watchdog")
    until(lambda: host.show(UNIT, "NRestarts")["NRestarts"] == "1", "the restart")
    assert not [p for p in processes if p.is_running() and p.status() != "zombie"]
    until(lambda: host.show(UNIT, "ActiveState")["ActiveState"] == "active", "the next life")
    assert ask(host, 8000) == "chat.completion"
    assert host.show(UNIT, "NRestarts")["NRestarts"] == "1", "nor was it ended again"

    service(host, "stop")
    ended = host.show(UNIT, "ActiveState", "Result", "ExecMainStatus", "ExecMainCode")
    assert ended == {
        "ActiveState": "inactive",
        "Result": "success",
        "ExecMainStatus": "0",
        "ExecMainCode": "1",
    }
    assert host.processes(UNIT) == []

    service(host, "uninstall")
    assert not host.root(f"/etc/systemd/system/{UNIT}").exists()
    assert (
        json.loads(
            host.run(*LSWARM, "service", "status", "--system", "--json", check=False).stdout
        )["state"]
        == "not installed"
    )


def test_two_services_side_by_side_and_one_runs_code_in_its_sandbox(host: Machine) -> None:
    """The walls of the unit leave the sandbox its own (without a safe one, no start)."""
    settings = "/etc/with code.toml"
    host.write(settings, "[consensus]\nexecute = true\n")
    host.root(settings).chmod(0o644)
    asked = {"runs": (8001, ("--config", settings)), "plain": (8002, ("--run-as", "root"))}
    for name, (port, words) in asked.items():
        model = ("--model", "builtin:demo", "--port", str(port))
        service(host, "install", "--name", name, *model, *words)
        service(host, "start", "--name", name)
    for port, _ in asked.values():
        assert ask(host, port) == "chat.completion"
    states = host.run("systemctl", "is-active", "lswarm-runs", "lswarm-plain").stdout.split()
    assert states == ["active", "active"]
    service(host, "uninstall", "--name", "runs")
    assert ask(host, 8002) == "chat.completion"
    service(host, "uninstall", "--name", "plain")


def test_what_no_new_start_can_heal_is_not_tried_again(host: Machine) -> None:
    settings = "/etc/broken.toml"
    host.write(settings, "")
    host.root(settings).chmod(0o644)
    service(host, "install", "--name", "broken", "--config", settings)
    host.write(settings, "[swarm]\nvoters = 99\n")
    failed = host.run(*LSWARM, "service", "start", "--system", "--name", "broken", check=False)
    assert failed.returncode == 1
    assert "journalctl -u lswarm-broken" in failed.stderr
    ended = host.show("lswarm-broken.service", "ActiveState", "ExecMainStatus", "NRestarts")
    assert ended == {"ActiveState": "failed", "ExecMainStatus": "3", "NRestarts": "0"}
    service(host, "uninstall", "--name", "broken")


def test_a_command_line_reaches_the_program_word_for_word(host: Machine) -> None:
    words = ["50% $HOME ${HOME} %h", 'a "quoted" \\ one', "two\nlines", "", "ü;'|&"]
    code = (
        "import json, os, sys; json.dump([sys.argv[1:], os.environ['X']], open('/run/words', 'w'))"
    )
    host.write(
        "/etc/systemd/system/words.service",
        f"[Service]\nType=oneshot\nExecStart={command_line([sys.executable, '-c', code, *words])}\n"
        f"{environment_lines({'X': words[0] + words[1]})}\n",
    )
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "words.service")
    assert json.loads(host.root("/run/words").read_text()) == [words, words[0] + words[1]]


def test_the_doctor_knows_a_unit_that_is_outdated(host: Machine) -> None:
    service(host, "install", "--name", "old", "--model", "builtin:demo", "--", "--voters", "3")

    def told() -> list[str]:
        done = host.run(*LSWARM, "doctor", "--json", check=False)
        findings = json.loads(done.stdout)["findings"]
        return [f["cure"] for f in findings if f["check"] == "service" and "outdated" in f["what"]]

    assert told() == []
    unit = host.root("/etc/systemd/system/lswarm-old.service")
    unit.write_text(unit.read_text().replace("WatchdogSec=30\n", ""))
    (cure,) = told()
    again = cure.split("`")[1].split()
    assert again[:3] == ["lswarm", "service", "install"]
    host.run(*LSWARM, *again[1:])
    assert told() == []
    service(host, "uninstall", "--name", "old")

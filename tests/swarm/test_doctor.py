"""What the doctor finds, of machines as they are and as they are made up."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psutil
import pytest

from local_swarm.config import Config, Loaded, load, user_paths
from local_swarm.config.schema import Server, Swarm
from local_swarm.domain.hardware import Device
from local_swarm.domain.memory import GIB, MIB
from local_swarm.engines.trial import Trial, tried
from local_swarm.errors import ConfigError
from local_swarm.hardware import MemoryPressure, Roots
from local_swarm.service.service import ServiceState, ServiceStatus
from local_swarm.supervisor import orphans, runfile
from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm.crashes import Crash
from local_swarm.swarm.doctor import (
    CHECKS,
    Context,
    Finding,
    Level,
    clock,
    crashes,
    devices,
    directories,
    disk,
    engine,
    examine,
    exit_code,
    leftovers,
    limits,
    memory,
    network,
    port,
    sandbox,
    service,
    settings,
    surroundings,
    swarms,
    versions,
)
from local_swarm.swarm.doctor.finding import Check, error, ok
from local_swarm.swarm.slot_directory import slot_directory

OK, NOTE, WARNING, ERROR = Level.OK, Level.NOTE, Level.WARNING, Level.ERROR
NOW = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


def context_of(home: Path, **facts) -> Context:
    environ = facts.pop("environ", {})
    paths = user_paths({"LSWARM_HOME": str(home)})
    loaded = facts.pop("loaded", Loaded())
    return Context(loaded, paths, environ=environ, cwd=home, **facts)


def with_config(**sections) -> Loaded:
    return Loaded(Config(**sections))


def levels(findings) -> list[Level]:
    return [finding.level for finding in findings]


# How checks are run ------------------------------------------------------------------------


def test_findings_come_in_the_order_of_the_checks_and_say_whose_they_are(tmp_path):
    both = threading.Barrier(2, timeout=20)  # only side by side do they ever end

    def check(context):
        both.wait()
        yield ok("fine")

    checks = (Check("a", check, 3), Check("b", check, 4))
    found = examine(context_of(tmp_path), checks)
    assert [(f.check, f.what) for f in found] == [("a", "fine"), ("b", "fine")]


def test_a_check_that_raises_is_a_finding_and_costs_no_other(tmp_path):
    def broken(context):
        yield ok("so far")
        raise RuntimeError("no such thing")

    checks = (Check("a", broken, 3), Check("b", lambda context: [ok("fine")], 3))
    first, second = examine(context_of(tmp_path), checks)
    assert (first.check, first.level, second.what) == ("a", WARNING, "fine")
    assert "RuntimeError: no such thing" in first.what


def test_a_check_that_hangs_is_a_finding_and_its_programs_are_ended(tmp_path):
    child: list[subprocess.Popen[bytes]] = []
    others = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    def hanging(context):
        child.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        child[0].wait()
        yield ok("never")

    try:
        (late,) = examine(context_of(tmp_path), [Check("a", hanging, 3)], timeout_s=0.5)
        assert (late.check, late.level) == ("a", WARNING)
        assert "0 s" in late.what or "1 s" in late.what
        assert child[0].wait(20) != 0
        assert others.poll() is None  # what was there before is not ours to end
    finally:
        others.kill()
        others.wait()


def test_the_exit_code_is_that_of_the_first_error():
    warned = Finding(WARNING, "w", "", "settings")
    assert exit_code([warned, Finding(OK, "o", "", "port")]) == 0
    wrong = [Finding(ERROR, "e", "", "port"), Finding(ERROR, "e", "", "settings")]
    assert exit_code([warned, *wrong]) == 7


def test_every_check_looks_at_this_machine_without_failing(tmp_path):
    found = examine(context_of(tmp_path), CHECKS, timeout_s=60)
    assert {f.check for f in found} == {check.name for check in CHECKS}
    failed = [f for f in found if "This check" in f.what]
    assert not failed
    assert all(f.cure for f in found if f.level in (WARNING, ERROR))


def test_checks_change_nothing(tmp_path):
    examine(context_of(tmp_path / "home"), CHECKS, timeout_s=60)
    assert not (tmp_path / "home").exists()


# The checks ---------------------------------------------------------------------------------


def test_this_python_and_its_packages_are_fine(tmp_path):
    assert levels(versions.check(context_of(tmp_path))) == [OK]
    found = versions.packages()
    assert found["aiohttp"]
    assert "openai" not in found


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("aiohttp<4,>=3.14", "aiohttp"),
        ("tomli>=2; python_version < '3.0'", None),
        ('tomli>=2; python_version < "9.9"', "tomli"),
        ("torch>=2.2; extra == 'train'", None),
        ("huggingface-hub", "huggingface-hub"),
    ],
)
def test_what_a_requirement_needs_here(requirement, name):
    assert versions.needed(requirement) == name


def test_wsl_and_termux_are_told(tmp_path):
    (tmp_path / "version").write_text("Linux version 5.15.1-microsoft-standard-WSL2")
    context = context_of(tmp_path, roots=Roots(proc=tmp_path), environ={"TERMUX_VERSION": "0.118"})
    told = " ".join(f.what for f in surroundings.check(context))
    assert "WSL" in told
    assert "Termux" in told


def test_settings_that_are_wrong_are_an_error(tmp_path):
    problem = ConfigError("server.port is 0.5.", hint="Correct this.")
    (found,) = settings.check(context_of(tmp_path, problem=problem))
    assert found == error("server.port is 0.5.", "Correct this.")


def test_settings_of_the_working_directory_are_noted(tmp_path):
    (tmp_path / "lswarm.toml").write_text("[swarm]\nvoters = 3\n")
    env = {"LSWARM_HOME": str(tmp_path), "LSWARM_SWARM__CTX": "4096"}
    loaded = load(env=env, cwd=tmp_path)
    found = list(settings.check(context_of(tmp_path, loaded=loaded)))
    assert levels(found) == [OK, NOTE, NOTE]
    assert "this directory" in found[1].what
    assert "LSWARM_SWARM__CTX" in found[2].what


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize(("mode", "expected"), [(0o644, [OK, WARNING]), (0o600, [OK])])
def test_keys_in_a_file_that_others_can_read_are_a_warning(tmp_path, mode, expected):
    (tmp_path / "config").mkdir()
    file = tmp_path / "config" / "lswarm.toml"
    file.write_text('[server]\napi_keys = ["key-key"]\n')
    file.chmod(mode)
    loaded = load(env={"LSWARM_HOME": str(tmp_path)}, cwd=tmp_path)
    assert levels(settings.check(context_of(tmp_path, loaded=loaded))) == expected


def test_a_directory_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "state").write_text("")
    found = list(directories.check(context_of(tmp_path)))
    assert ERROR in levels(found)
    assert str(tmp_path / "state") in found[0].what


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_an_error(tmp_path):
    (tmp_path / "state").mkdir(mode=0o500)
    assert ERROR in levels(directories.check(context_of(tmp_path)))


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_run_files_that_others_can_read_are_a_warning(tmp_path):
    run = tmp_path / "run"
    run.mkdir(mode=0o755)
    (run / "swarm-1.json").write_text("{}")
    (run / "swarm-1.json").chmod(0o644)
    found = list(directories.check(context_of(tmp_path)))
    assert levels(found) == [OK, WARNING, WARNING]
    assert "chmod 700" in found[1].cure
    assert "chmod 600" in found[2].cure


@pytest.mark.parametrize(
    ("uses", "free", "level"),
    [(["state"], 50 * MIB, ERROR), (["state"], GIB, OK), (["models"], GIB, NOTE),
     (["models"], 50 * GIB, OK)],
)  # fmt: skip
def test_disks_are_judged_by_what_they_are_for(uses, free, level):
    assert disk.judged(uses, Path("/d"), free).level is level


def test_how_an_engine_ends_is_told():
    assert engine.judged("e 1", Trial(0)).level is OK
    crashed = engine.judged("e 1", Trial(-11, "no driver"))
    assert (crashed.level, "signal 11" in crashed.what) == (ERROR, True)
    assert "exit code 3" in engine.judged("e 1", Trial(3)).what
    assert "cannot be started: gone" in engine.judged("e 1", Trial(None, "gone")).what
    assert engine.judged("e 1", Trial(None, "late", is_late=True)).level is WARNING


@pytest.mark.skipif(os.name != "posix", reason="the engine is a shell script")
@pytest.mark.parametrize(
    ("script", "trial"),
    [
        ("echo 'Available devices:'", Trial(0, "Available devices:")),
        ("echo cannot load; kill -SEGV $$", Trial(-11, "cannot load")),
        ("exit 3", Trial(3, "it said nothing")),
        ("exec sleep 600", Trial(None, "it did not end within 0.5 s", is_late=True)),
    ],
)
def test_a_crash_of_the_engine_is_seen_and_not_ours(tmp_path, script, trial):
    from local_swarm.engines.llama_server import LlamaServer

    program = tmp_path / "llama-server"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    timeout_s = 0.5 if trial.code is None else 20
    assert tried(LlamaServer(str(program)), timeout_s=timeout_s) == trial


def test_an_engine_that_is_not_there_is_an_error(tmp_path):
    loaded = load(
        env={"LSWARM_HOME": str(tmp_path)}, cwd=tmp_path, flags={"engine.path": "/no/engine"}
    )
    (found,) = engine.check(context_of(tmp_path, loaded=loaded))
    assert found.level is ERROR
    assert found.cure


def device(**facts) -> Device:
    given = {"vendor": "NVIDIA", "name": "Card", "backend": "CUDA", "driver": "550"}
    sizes = {"total_bytes": 24 * GIB, "free_bytes": 23 * GIB}
    return Device(**{"id": "CUDA0", "uuid": "GPU-1", **given, **sizes, **facts})


@pytest.mark.parametrize(
    ("facts", "level"),
    [({}, OK), ({"free_bytes": 2 * GIB}, NOTE), ({"free_bytes": None}, OK),
     ({"free_bytes": 2 * GIB, "integrated": True}, OK)],
)  # fmt: skip
def test_devices_of_which_others_hold_much_are_noted(facts, level):
    found = devices.judged(device(**facts), "python (pid 7, 20.0 GiB)")
    assert found.level is level
    assert ("pid 7" in found.what) == (level is NOTE)


def test_groups_that_a_user_should_be_in_are_named():
    nodes = [
        devices.Node("/dev/dri/renderD128", "render", False),
        devices.Node("/dev/dri/card0", "video", True),
        devices.Node("/dev/kfd", "video", False),
    ]
    (found,) = devices.node_findings(nodes)
    assert "usermod -aG render,video" in found.cure
    assert "card0" not in found.what
    assert not list(devices.node_findings(nodes[1:2]))


def pressure(**facts) -> MemoryPressure:
    known = {"total_bytes": 16 * GIB, "available_bytes": 8 * GIB, "limit_bytes": None}
    unknown = {"limit_free_bytes": None, "stalled": None, "slowed": None, "oom_kills": None}
    return MemoryPressure(**{**known, **unknown, **facts})


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, [OK]),
        ({"total_bytes": None}, [NOTE]),
        ({"available_bytes": GIB // 2}, [WARNING]),
        ({"limit_bytes": 4 * GIB}, [OK, NOTE]),
        ({"limit_bytes": 64 * GIB}, [OK]),
        ({"stalled": 0.5}, [OK, WARNING]),
        ({"stalled": 0.01, "oom_kills": 0}, [OK]),
        ({"oom_kills": 2}, [OK, NOTE]),
    ],
)
def test_memory_is_judged_by_what_the_system_tells(facts, expected):
    assert levels(memory.judged(pressure(**facts))) == expected


def test_files_and_threads_that_are_not_allowed_are_warnings(tmp_path):
    assert limits.files(65536, 512).level is OK
    assert limits.files(1024, 512).level is WARNING
    many = Config(swarm=Swarm(threads=8, workers=2))
    assert levels(limits.threads(many, 8)) == [WARNING]
    assert not list(limits.threads(many, 16))
    assert not list(limits.threads(Config(), 1))


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_another_program_holds_is_an_error_that_names_it(tmp_path, taken):
    (found,) = port.check(context_of(tmp_path, port=taken))
    assert found.level is ERROR
    assert f"(pid {os.getpid()})" in found.what or "may not see" in found.what


def test_a_port_that_our_own_swarm_holds_is_as_it_should_be(tmp_path, taken):
    me = ProcessId.of(os.getpid())
    run = RunFile(me, f"http://127.0.0.1:{taken}", "token", "key", "m")
    runfile.write(tmp_path / "run" / f"swarm-{taken}.json", run)
    (found,) = port.check(context_of(tmp_path, port=taken))
    assert (found.level, str(os.getpid()) in found.what) == (OK, True)


def test_a_free_port_and_any_port_are_fine(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert levels(port.check(context_of(tmp_path, port=free))) == [OK]
    assert levels(port.check(context_of(tmp_path, port=0))) == [OK]


def test_an_address_that_is_not_here_is_an_error(tmp_path):
    loaded = with_config(server=Server(host="203.0.113.7", api_keys=("key-key",)))
    (found,) = port.check(context_of(tmp_path, loaded=loaded))
    assert found.level is ERROR
    assert "no address of this machine" in found.what


def test_why_a_port_is_refused_decides_the_cure():
    refused = OSError(errno.EACCES, "")
    assert "1024" in port.judged("h", 80, refused, "x").cure
    taken = port.judged("h", 80, OSError(errno.EADDRINUSE, ""), "nginx (pid 1)")
    assert "nginx (pid 1)" in taken.what


def body(*workers, **facts):
    return {"ready": True, "workers": list(workers), **facts}


def worker(state="ready", **facts):
    return {"id": "w0", "state": state, **facts}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (body(worker()), [OK]),
        (body(worker("starting"), ready=False), [ERROR]),
        (body(worker("stopped"), ready=False, asleep=True), [OK]),
        (body(worker(), worker("failed", reason="exit 1")), [OK, WARNING]),
        (body(worker(reduced="the prompt cache")), [OK, NOTE]),
        (body(worker(drift=[{}])), [OK, NOTE]),
        (body(worker(), version="0.0.1"), [OK, NOTE]),
    ],
)
def test_a_swarm_is_judged_by_its_status(told, expected):
    assert levels(swarms.judged("http://h:1", told)) == expected


def test_a_swarm_that_does_not_answer_is_an_error(tmp_path, taken):
    me = ProcessId.of(os.getpid())
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        runfile.write(tmp_path / "run" / "swarm-1.json", RunFile(me, url, "t", "key", "m"))
        (found,) = swarms.check(context_of(tmp_path))
    assert found.level is ERROR
    assert "does not answer" in found.what


def crash(cause: str, hours: float, worker: str = "w0") -> Crash:
    time = (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Crash(time, worker, "m", "e", 1, cause, 1, None, 1.0, "started again")


def test_crashes_of_the_last_day_are_told_by_cause():
    history = [crash("hung", 30), crash("killed", 5), crash("killed", 3, "w1"), crash("other", 1)]
    killed, other = crashes.judged(history, NOW)
    assert "2 times" in killed.what
    assert "w1" in killed.what
    assert killed.cure == crashes.CURES["killed"]
    assert "once" in other.what
    assert other.cure == crashes.UNKNOWN


def test_a_damaged_history_is_told_and_left_where_it_is(tmp_path):
    context = context_of(tmp_path)
    context.paths.state.mkdir()
    history = context.paths.state / "crashes.json"
    history.write_text('{"version": 1, "crashes": 3}')
    assert levels(crashes.check(context)) == [NOTE]
    assert os.listdir(context.paths.state) == ["crashes.json"]


def test_no_crash_of_late_is_fine():
    odd = Crash("yesterday", "w0", "m", "e", 1, "hung", 1, None, 1.0, "")
    assert levels(crashes.judged([crash("hung", 30), odd], NOW)) == [OK]


def gone() -> ProcessId:
    """A process that was."""
    waiting = [sys.executable, "-c", "input()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as process:
        known = ProcessId.of(process.pid)
        process.communicate(b"\n")
    return known


def test_what_a_dead_swarm_left_is_told_and_not_ended(tmp_path):
    import msgspec

    dead = gone()
    runfile.write(tmp_path / "run" / "swarm-1.json", RunFile(dead, "http://h:1", "t", "k", "m"))
    owner = {orphans.RUN_OWNER: msgspec.json.encode(dead).decode()}
    mine = {orphans.RUN_OWNER: msgspec.json.encode(ProcessId.of(os.getpid())).decode()}
    sleep = [sys.executable, "-c", "print(flush=True); input()"]
    children = [
        subprocess.Popen(sleep, env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=-1)
        for env in (owner, mine)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        assert children[0].pid in set(leftovers.orphans())
        assert children[1].pid not in set(leftovers.orphans())
        found = list(leftovers.check(context_of(tmp_path)))
        assert levels(found) == [WARNING, NOTE]
        assert str(children[0].pid) in found[0].what
        assert all(child.poll() is None for child in children)
        assert (tmp_path / "run" / "swarm-1.json").exists()
    finally:
        for child in children:
            child.communicate(b"\n")


def test_files_that_cannot_be_read_or_were_set_aside_are_noted(tmp_path):
    context = context_of(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "run" / "swarm-1.json").write_text("{")
    (tmp_path / "state" / "voters.json.damaged-1").touch()
    found = [f for f in leftovers.check(context) if f.level is NOTE]
    assert len(found) == 2
    assert "swarm-1.json cannot be read" in found[0].what
    assert "voters.json.damaged-1" in found[1].what


def test_prompts_that_a_killed_swarm_left_are_told_and_those_of_a_living_one_not(tmp_path):
    context = context_of(tmp_path)
    with slot_directory(context.paths, keep=True) as living:
        assert list(leftovers.prompts(context)) == []
        left = living.with_name("left")
        left.mkdir()
        left.with_name("left.lock").touch()
        assert list(leftovers.prompts(context)) == []
        (left / "prompt").touch()
        (found,) = leftovers.prompts(context)
        assert (found.level, str(left) in found.what) == (WARNING, True)
        assert living.is_dir()
        assert left.is_dir(), "the doctor removes nothing"


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (ServiceStatus(ServiceState.ABSENT), NOTE),
        (ServiceStatus(ServiceState.RUNNING, enabled=True, detail="ready"), OK),
        (ServiceStatus(ServiceState.STOPPED, enabled=False), NOTE),
        (ServiceStatus(ServiceState.FAILED, detail="exit code 3"), WARNING),
    ],
)
def test_a_service_is_judged_by_what_its_manager_says(status, level):
    found = service.judged("lswarm", status)
    assert found.level is level
    assert status.detail in found.what


def test_the_sandbox_matters_only_where_answers_are_run(tmp_path):
    assert levels(sandbox.check(context_of(tmp_path))) == [OK]


def interface(name, *addresses, up=True, flags=frozenset({"up", "multicast"})):
    return network.Interface(name, up, flags, addresses or ("192.168.1.2",))


def test_only_interfaces_that_lead_to_other_machines_are_candidates():
    wlan = interface("wlan0")
    others = [
        interface("lo", "127.0.0.1", flags=frozenset({"loopback", "up"})),
        interface("docker0", "172.17.0.1"),
        interface("veth12", "10.0.0.1"),
        interface("tun0", "10.8.0.2"),
        interface("eth1", up=False),
        interface("eth2", flags=frozenset({"up", "pointopoint"})),
        interface("eth3", "169.254.3.4"),
        network.Interface("eth4", True, None, ()),
    ]
    assert network.candidates([*others, wlan]) == [wlan]
    assert network.candidates([interface("en0", flags=None)]) == [interface("en0", flags=None)]
    assert network.judged([wlan]).level is OK
    assert network.judged([]).level is NOTE
    several = network.judged([wlan, interface("eth0", "10.0.0.2")])
    assert (several.level, "eth0 (10.0.0.2)" in several.what) == (NOTE, True)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"synchronised": True}, [OK]),
        ({"synchronised": None}, [OK]),
        ({"synchronised": False}, [NOTE]),
        ({"file_time": 1e9 + 60}, [NOTE, OK]),
        ({"file_time": None}, [OK]),
        ({"installed": 1e9 + 10 * clock.DAY_S}, [ERROR]),
    ],
)
def test_a_clock_that_cannot_be_right_is_told(facts, expected):
    known = {"now": 1e9, "installed": 1e9 - 60, "file_time": 1e9, "synchronised": True}
    assert levels(clock.judged(**{**known, **facts})) == expected


def test_this_process_has_no_child_left():
    assert not [c for c in psutil.Process().children() if "sleep(600)" in " ".join(c.cmdline())]

"""What a bug report holds, and what it must not."""

from __future__ import annotations

import io
import itertools
import json
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_swarm.config import Loaded, load, user_paths
from local_swarm.errors import ConfigError, UsageError
from local_swarm.supervisor import runfile
from local_swarm.supervisor.runfile import ProcessId, RunFile
from local_swarm.swarm.crashes import Crash, CrashFile
from local_swarm.swarm.doctor import Context, Finding, Level, bundle
from local_swarm.swarm.doctor.scrub import LEFT_OUT, Scrubber, without_prompts

PROMPT = "PROMPTMARKER"
SECRETS = [
    "client-key-1", 'quoted"key\\2', "child-key-3", "control-key-4", "run-token-5", "hub-key-6",
    "file-key-7", "flag-key-8", "bearer-key-9", "assigned-key-10", "sk-looksLikeAKey11",
]  # fmt: skip
LOG = f"""\
w0 | [supervisor] starting -> ready: ready
w0 | 0.00.001.364 I srv          init: a harmless line
w0 | 0.00.001.365 D srv          prompt: {PROMPT} 1
w0 | which goes on in {PROMPT} 2
w0 | 0.00.001.366 I slot print_timing: id  1 | prompt eval time = 1.33 ms / 24 tokens
w0 | 0.00.001.367 W srv  operator(): got exception: {{"message":"cannot parse {PROMPT} 3"}}
w0 | 0.00.001.368 I srv   Authorization: Bearer bearer-key-9 and api_key=assigned-key-10
w0 | 0.00.001.369 I srv  child-key-3 sk-looksLikeAKey11 {{"k": "quoted\\"key\\\\2"}}
w0 | 0.00.001.370 I srv  loading model '{Path.home()}/models/a.gguf' by anna of anna's, not annabel
"""
OWN_LOG = f"""\
2026-01-01T00:00:00.0Z [info     ] worker [local_swarm] change='ready' worker=w0
2026-01-01T00:00:00.0Z [info     ] request [local_swarm] prompt='{PROMPT} 4' status=200
Traceback (most recent call last):
  {PROMPT} 5
2026-01-01T00:00:00.0Z [info     ] request [local_swarm] prompt=[hidden] path=/v1/messages
{{"event": "request", "messages": [{{"content": "{PROMPT} 6"}}]}}
READY http://127.0.0.1:8000/v1 control-key-4
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("USER", "anna")
    monkeypatch.setenv("LOGNAME", "anna")
    (tmp_path / "config").mkdir()
    logs = tmp_path / "state" / "logs"
    (logs / "8000").mkdir(parents=True)
    (logs / "8000" / "w0.log").write_text(LOG)
    (logs / "8000" / "swarm.log").write_text(OWN_LOG)
    (logs / "starting-1.log").write_text(OWN_LOG)
    return tmp_path


def context_of(home: Path, settings: str = "", **env: str) -> Context:
    file = home / "config" / "lswarm.toml"
    file.write_text(settings)
    environ = {"LSWARM_HOME": str(home), **env}
    paths = user_paths(environ)
    try:
        loaded, problem = load(env=environ, cwd=home), None
    except ConfigError as wrong:
        loaded, problem = Loaded(), wrong
    return Context(loaded, paths, problem, environ=environ, cwd=home)


def with_keys(home: Path, more: str = "") -> Context:
    me = ProcessId.of(os.getpid())
    run = RunFile(me, "http://127.0.0.1:9/", "run-token-5", "control-key-4", "m")
    runfile.write(home / "run" / "swarm-9.json", run)
    context = context_of(
        home,
        '[server]\napi_keys = ["client-key-1", "quoted\\"key\\\\2"]\n' + more,
        LSWARM_ENGINE__API_KEY="child-key-3",
        HF_TOKEN="hub-key-6",
    )
    lines = (
        "hub-key-6",
        f"0.00.001.365 D srv  prompt: {PROMPT} 7",
        "0.00.001.366 E GGML_ASSERT(x)",
    )
    crash = Crash(
        "2026-01-01T00:00:00Z", "w0", "m", "e", 1, "crashed", None, 6, 1.0, "again", lines
    )
    CrashFile.of(context.paths).add(crash)
    return context


def read(path: Path) -> dict[str, str]:
    """Every file of a bundle, by its name."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {m.name: _content(archive, m) for m in archive.getmembers()}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file is not None
    return io.TextIOWrapper(file).read()


FINDING = Finding(Level.ERROR, f"client-key-1 in {Path.home()}/x", "file-key-7?", "settings")


@pytest.mark.parametrize("name", ["report.zip", "report.tar.gz"])
def test_a_bundle_holds_no_key_no_prompt_and_no_name(home, name):
    path = home / name
    arguments = '[engine]\nargs = ["--some-token", "flag-key-8"]\n'
    names = bundle.write(path, with_keys(home, arguments), [FINDING])
    files = read(path)
    everything = "".join(f"{name}\n{text}" for name, text in files.items())
    for secret in SECRETS:
        if secret != "file-key-7":
            assert secret not in everything
            assert json.dumps(secret)[1:-1] not in everything
    assert PROMPT not in everything
    assert str(Path.home()) not in everything.replace(str(home), "")
    assert " anna " not in everything
    assert "[user]" in everything
    assert "annabel" in everything
    assert list(files) == [f"lswarm-report/{each}" for each in names]
    for name, text in files.items():
        if name.endswith(".json"):
            assert json.loads(text)


def test_what_a_report_needs_is_in_it(home):
    path = home / "report.zip"
    bundle.write(path, with_keys(home), [FINDING])
    files = {name.partition("/")[2]: text for name, text in read(path).items()}
    assert json.loads(files["findings.json"])[0]["what"] == "[hidden] in ~/x"
    assert json.loads(files["settings.json"])["server.port"]["value"] == 8000
    assert json.loads(files["versions.json"])["packages"]["aiohttp"]
    assert json.loads(files["hardware.json"])["cpu"]["logical"] > 0
    assert json.loads(files["plan.json"])["workers"]
    (crash,) = json.loads(files["crashes.json"])
    assert crash["log"][-1] == "0.00.001.366 E GGML_ASSERT(x)"
    (status,) = json.loads(files["status.json"]).values()
    assert "does not answer" in status["error"]
    log = files["logs/8000/w0.log"]
    assert "a harmless line" in log
    assert "prompt eval time = 1.33 ms" in log
    assert "~/models/a.gguf" in log
    assert log.count(LEFT_OUT) == 2
    own = files["logs/8000/swarm.log"]
    assert "change='ready'" in own
    assert "path=/v1/messages" in own
    assert "READY http" in own


def test_where_logs_may_show_prompts_the_swarms_own_is_left_out_whole(home):
    for name in ("8000/swarm.log", "starting-1.log"):
        (home / "state/logs" / name).write_text(f"{PROMPT} in a line of any form\n")
    path = home / "report.zip"
    bundle.write(path, context_of(home, "[logs]\nprompts = true\n"), [])
    files = read(path)
    assert files["lswarm-report/logs/8000/swarm.log"] == bundle.PROMPTS_SHOWN
    assert files["lswarm-report/logs/starting-1.log"] == bundle.PROMPTS_SHOWN
    assert "a harmless line" in files["lswarm-report/logs/8000/w0.log"]
    assert PROMPT not in "".join(files.values())


@pytest.mark.parametrize(
    "settings",
    ['[server]\napi_keys = ["file-key-7"]\nnonsense = 1\n', '[server]\napi_keys = ["file-key-7"'],
)
def test_keys_of_a_file_that_is_refused_are_hidden_too(home, settings):
    (home / "state/logs/8000/w0.log").write_text("w0 | file-key-7\n")
    context = context_of(home, settings)
    assert context.problem is not None
    path = home / "report.zip"
    bundle.write(path, context, [FINDING])
    files = read(path)
    assert "file-key-7" not in "".join(files.values())
    assert json.loads(files["lswarm-report/settings.json"])["error"]


def test_only_its_owner_can_read_it_and_nothing_is_overwritten(home):
    path = home / "report.zip"
    bundle.write(path, context_of(home), [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        bundle.write(path, context_of(home), [])
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "why"), [("report.txt", "no name"), ("no/such/x.zip", "cannot")])
def test_names_that_cannot_be_are_refused_before_anything_is_looked_at(tmp_path, name, why):
    with pytest.raises(UsageError, match=why):
        bundle.refuse_bad_name(tmp_path / name)


@given(st.text(min_size=4, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_is_never_left_whatever_it_is_made_of(secret, before, after):
    clean = Scrubber((secret,))
    if secret in "[hidden]":
        return
    assert secret not in clean.text(f"{before}{secret}{after}").replace("[hidden]", "")
    document = clean.document({"a": [f"{before} {secret} {after}"], secret: 1})
    told = json.loads(document)
    assert secret not in told["a"][0].replace("[hidden]", "")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("--api-key abcdef --x 1", "--api-key [hidden] --x 1"),
        ("api_key = 'abcdef', b", "api_key = '[hidden]', b"),
        ("hf_abcdefghijklmnopqrstuvwx", "[hidden]"),
        ("http://me:word@host/", "http://[hidden]@host/"),
        ("n_tokens = 24, api_keys: ****j9KO", "n_tokens = 24, api_keys: ****j9KO"),
        ("Authorization: Basic abc=", "Authorization: Basic [hidden]"),
    ],
)
def test_what_looks_like_a_key_is_hidden_and_what_does_not_is_kept(text, clean):
    assert Scrubber().text(text) == clean


@given(
    st.lists(st.sampled_from(["[supervisor] x", "0.00.001.365 D y", "0.00.001.365 I z", "more"]))
)
def test_what_follows_a_line_that_is_left_out_is_left_out_too(lines):
    shown = without_prompts(lines)
    assert "0.00.001.365 D y" not in shown
    for before, line in itertools.pairwise(shown):
        assert not (before == LEFT_OUT and line in (LEFT_OUT, "more"))
    assert [x for x in shown if x[0] in "[0" and x != LEFT_OUT] == [
        x for x in lines if x.startswith("[super") or " I " in x
    ]

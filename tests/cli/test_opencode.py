"""`lswarm opencode`, as people and opencode see it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from local_swarm.cli.group import lswarm
from local_swarm.cli.opencode import Target, block_of, merge_into, merged, output_limit
from local_swarm.errors import ConfigError

TARGET = Target("http://127.0.0.1:8000", "qwen", 24576, needs_key=False, running=True)
BLOCK = block_of(TARGET)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with no swarm running."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LSWARM_HOME", str(tmp_path / "home"))
    return folder


def run(*args: str) -> Result:
    pytest.importorskip("xllamacpp", reason="the default engine is not installed")
    return CliRunner().invoke(lswarm, ["opencode", *args], catch_exceptions=False)


def test_the_block_names_the_swarm_its_solo_and_their_limits() -> None:
    provider = BLOCK["provider"]["lswarm"]
    assert provider["npm"] == "@ai-sdk/openai-compatible"
    assert provider["options"] == {"baseURL": "http://127.0.0.1:8000/v1"}
    assert set(provider["models"]) == {"qwen", "qwen:solo"}
    assert {m["limit"]["context"] for m in provider["models"].values()} == {24576}
    assert (BLOCK["model"], BLOCK["small_model"]) == ("lswarm/qwen", "lswarm/qwen:solo")


@pytest.mark.parametrize(
    ("ctx", "output"),
    [(2048, 1024), (8192, 2048), (16384, 3072), (24576, 3072), (65536, 8192), (262144, 16384)],
)
def test_an_answer_gets_a_files_worth_or_an_eighth_of_the_context(ctx: int, output: int) -> None:
    assert output_limit(ctx) == output


def test_a_key_is_named_and_never_shown() -> None:
    target = Target("http://x", "qwen", 8192, needs_key=True, running=True)
    options = block_of(target)["provider"]["lswarm"]["options"]
    assert options["apiKey"] == "{env:LSWARM_API_KEY}"


def test_merging_loses_nothing_and_keeps_another_providers_model() -> None:
    old = {
        "theme": "night",
        "model": "anthropic/big",
        "provider": {
            "anthropic": {"options": {"timeout": 1}},
            "lswarm": {"options": {"baseURL": "http://old/v1", "chunkTimeout": 9}},
        },
    }
    new = merged(old, BLOCK)
    assert new["theme"] == "night"
    assert new["model"] == "anthropic/big"
    assert new["small_model"] == "lswarm/qwen:solo"
    assert new["provider"]["anthropic"] == {"options": {"timeout": 1}}
    options = new["provider"]["lswarm"]["options"]
    assert options == {"baseURL": "http://127.0.0.1:8000/v1", "chunkTimeout": 9}


def test_a_model_of_ours_is_replaced() -> None:
    assert merged({"model": "lswarm/old"}, BLOCK)["model"] == "lswarm/qwen"


@pytest.mark.parametrize(
    ("old", "backed_up"),
    [
        (None, False),
        ({}, False),
        ({"theme": "night", "model": "anthropic/big"}, False),
        (BLOCK, False),
        ({"provider": {"lswarm": {"npm": "mine"}}}, True),
        ({"model": "lswarm/old"}, True),
    ],
)
def test_a_backup_is_made_only_where_something_was_replaced(
    tmp_path: Path, old: dict[str, Any] | None, backed_up: bool
) -> None:
    path = tmp_path / "opencode.json"
    if old is not None:
        path.write_text(json.dumps(old))
    now, backup = merge_into(path, BLOCK)
    assert json.loads(path.read_text()) == now == merged(old or {}, BLOCK)
    assert (backup is not None) == backed_up
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in (path, backup) if p}
    if backup is not None:
        assert json.loads(backup.read_text()) == old


def test_an_earlier_backup_stays(tmp_path: Path) -> None:
    path = tmp_path / "opencode.json"
    backups = []
    for old in ("lswarm/a", "lswarm/b"):
        path.write_text(json.dumps({"model": old}))
        backups.append(merge_into(path, BLOCK)[1])
    assert [json.loads(b.read_text())["model"] for b in backups if b] == ["lswarm/a", "lswarm/b"]


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "opencode.json"
    merge_into(path, BLOCK)
    before = (path.stat().st_ino, path.read_bytes())
    assert merge_into(path, BLOCK)[1] is None
    assert (path.stat().st_ino, path.read_bytes()) == before


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_private_file_and_its_backup_stay_private(tmp_path: Path) -> None:
    path = tmp_path / "opencode.json"
    path.write_text('{"provider": {"lswarm": {"options": {"baseURL": "x", "apiKey": "sk"}}}}')
    path.chmod(0o600)
    _, backup = merge_into(path, BLOCK)
    assert backup is not None
    assert {stat.S_IMODE(p.stat().st_mode) for p in (path, backup)} == {0o600}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "opencode.json"
    real.write_text("{}")
    link.symlink_to(real)
    merge_into(link, BLOCK)
    assert link.is_symlink()
    assert json.loads(real.read_text())["model"] == "lswarm/qwen"


@pytest.mark.parametrize("text", ["// mine\n{}", "[]", '{"provider": []}', "\xff{"])
def test_what_cannot_be_merged_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "opencode.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"opencode\.json cannot be changed"):
        merge_into(path, BLOCK)
    assert path.read_text(encoding="latin-1") == text
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_swarm_it_shows_what_would_run_and_says_so(project: Path) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    block = json.loads(done.stdout)
    assert block["provider"]["lswarm"]["options"]["baseURL"] == "http://127.0.0.1:8000/v1"
    assert "No swarm is running" in done.stderr
    assert not list(project.iterdir())


def test_settings_decide_address_key_and_context(project: Path) -> None:
    settings = project / "mine.toml"
    settings.write_text(
        '[server]\nhost = "0.0.0.0"\nport = 8123\napi_keys = ["very-secret-key"]\n'
        "[swarm]\nctx = 4096\n"
    )
    done = run("--config", str(settings))
    assert done.exit_code == 0, done.output
    provider = json.loads(done.stdout)["provider"]["lswarm"]
    assert provider["options"]["baseURL"] == "http://127.0.0.1:8123/v1"
    assert provider["options"]["apiKey"] == "{env:LSWARM_API_KEY}"
    assert "very-secret-key" not in done.output
    assert "LSWARM_API_KEY" in done.stderr
    assert "4096 tokens per slot are too few" in done.stderr


def test_write_says_where_and_what_it_left_alone(project: Path) -> None:
    path = project / "opencode.json"
    path.write_text('{"model": "anthropic/big"}')
    (project / "opencode.jsonc").write_text("{}")
    done = run("--write", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["path"], document["backup"]) == (str(path), None)
    assert document["running"] is False
    assert document["config"] == json.loads(path.read_text())
    assert "model stays anthropic/big" in done.stderr
    assert "opencode.jsonc" in done.stderr


def test_a_swarm_that_is_named_must_run(project: Path) -> None:
    from local_swarm.errors import NotRunningError

    with pytest.raises(NotRunningError):
        CliRunner().invoke(
            lswarm, ["opencode", "--port", "1"], catch_exceptions=False, standalone_mode=False
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1e400}', "not JSON compliant"),
        ('{"theme": "\\ud800"}', "surrogates"),
        ('{"provider": {}, "provider": {}}', "names a key twice"),
        ("[" * 20_000, "recursion"),
    ],
)
def test_a_file_that_cannot_be_kept_whole_is_left_alone(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "opencode.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why):
        merge_into(path, BLOCK)
    assert path.read_text() == text


def test_a_backup_never_goes_through_a_link(tmp_path: Path) -> None:
    path, planted = tmp_path / "opencode.json", tmp_path / "elsewhere" / "planted"
    planted.parent.mkdir()
    path.write_text('{"model": "lswarm/old"}')
    (tmp_path / "opencode.json.bak").symlink_to(planted)
    _, backup = merge_into(path, BLOCK)
    assert backup == tmp_path / "opencode.json.bak1"
    assert not planted.exists()

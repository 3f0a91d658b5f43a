"""`lswarm models` from the outside, against a hub on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import fake_hub
from tests.models.gguf_files import small_llama

REPO = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF"
FILE = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
NAME = "qwen2.5-coder:0.5b"
BYTES = small_llama().encode()
OWN = """
[[model]]
family = "own"
size = "{size}"
name = "Own {size}"
repo = "own/{size}"
licence = "mit"
parameters = {parameters}
context = 4096
quality = {quality}
quality_basis = "made up"
arch = "llama"
vocabulary = 1000
header_source = "made up"
files = [{{ quant = "Q8_0", file = "own-{size}.gguf", size_bytes = {bytes} }}]

[model.header]
block_count = 2
context_length = 4096
embedding_length = 64
feed_forward_length = 128
attention.head_count = 2
attention.head_count_kv = 2
"""


class Shell:
    """Runs `lswarm` as a user would, with a home and a hub of its own."""

    def __init__(self, hub, home):
        self.hub, self.home = hub, home
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "LSWARM_"))},
            "LSWARM_HOME": str(home),
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(home / "hf"),
            "NO_PROXY": "127.0.0.1",
        }

    def __call__(self, *args, code=0, **env):
        done = subprocess.run(
            [sys.executable, "-m", "local_swarm", *args],
            capture_output=True,
            text=True,
            env={**self.env, **env},
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        return done

    def json(self, *args):
        return json.loads(self("models", *args, "--json").stdout)


@pytest.fixture
def lswarm(tmp_path):
    with fake_hub.running() as hub:
        hub.repos[REPO] = {FILE: BYTES}
        yield Shell(hub, tmp_path)


def test_a_life_of_a_model(lswarm):
    lswarm("models", "show", NAME)
    done = lswarm("models", "pull", NAME)
    path = lswarm.home / "cache" / "models" / REPO / FILE
    assert done.stdout == f"{path}\n"
    assert f"{NAME}: 100% of" in done.stderr
    (row,) = lswarm.json("list", "--pulled")
    assert (row["name"], row["pulled"][0]["path"]) == (NAME, str(path))
    assert lswarm.json("verify") == [
        {"name": f"hf:{REPO}:{FILE}", "ok": True, "checksum": True, "problems": []}
    ]
    assert lswarm.json("show", NAME)["facts"]["name"] == "Small Llama"
    (gone,) = lswarm.json("rm", NAME)
    assert gone["freed_bytes"] >= len(BYTES)
    assert lswarm.json("list", "--pulled") == []
    assert not path.exists()


def test_the_list_is_for_people_and_for_programs(lswarm):
    shown = lswarm("models", "list", COLUMNS="200").stdout
    rows = lswarm.json("list")
    assert len(rows) > 20
    assert all(row["name"] in shown for row in rows)
    assert {"name", "parameters", "context", "licence", "quality", "files", "pulled"} <= set(
        rows[0]
    )
    assert lswarm.hub.seen == []


def test_a_model_is_shown_before_it_is_here(lswarm):
    shown = lswarm.json("show", NAME)
    assert shown["facts"]["arch"] == "qwen2"
    assert shown["entry"]["licence"] == "apache-2.0"
    assert shown["pulled"] == []
    assert lswarm.hub.seen == []
    remote = lswarm.json("show", NAME, "--remote")["remote"]
    assert remote["facts"]["name"] == "Small Llama"
    assert remote["size_bytes"] == len(BYTES)


def test_a_damaged_model_is_told_and_fails(lswarm):
    path = lswarm("models", "pull", NAME).stdout.strip()
    with open(path, "r+b") as file:
        file.seek(200)
        file.write(b"\xff")
    done = lswarm("models", "verify", NAME, code=5)
    assert "damaged" in done.stdout
    assert "pull them again" in done.stderr


def test_pull_says_in_json_what_came(lswarm):
    (pulled,) = lswarm.json("pull", f"hf:{REPO}")
    assert pulled["size_bytes"] == len(BYTES)
    assert pulled["revision"] == fake_hub.COMMIT


def test_download_only_and_detect_are_aliases(lswarm):
    done = lswarm("--download-only", "--model", NAME)
    assert done.stdout.strip().endswith(FILE)
    host = lswarm("--detect").stdout
    assert "memory" in host
    (lswarm.home / "config").mkdir()
    (lswarm.home / "config" / "lswarm.toml").write_text(f'[models]\npreferred = ["{NAME}"]\n')
    assert lswarm("--download-only").stdout == done.stdout


def test_without_a_name_the_first_preferred_one_is_pulled(lswarm):
    done = lswarm("models", "pull", LSWARM_MODELS__PREFERRED=f"{NAME},llama3.1:8b")
    assert done.stdout.strip().endswith(FILE)
    assert f"No model is named: {NAME} is the first of models.preferred." in done.stderr


@pytest.mark.parametrize("command", [("models", "pull"), ("--download-only",)])
def test_without_a_name_the_best_that_fits_this_machine_is_pulled(lswarm, command):
    """The best of all is far too large for any machine, the next fits every one."""
    (lswarm.home / "config").mkdir()
    entries = OWN.format(size="900b", parameters=10**12, quality=100.0, bytes=900 * 10**12)
    entries += OWN.format(size="1m", parameters=10**6, quality=99.9, bytes=10**6)
    (lswarm.home / "config" / "models.toml").write_text(entries)
    lswarm.hub.repos["own/1m"] = {"own-1m.gguf": BYTES}
    done = lswarm(*command)
    assert done.stdout == f"{lswarm.home / 'cache' / 'models' / 'own' / '1m' / 'own-1m.gguf'}\n"
    words = " ".join(done.stderr.split())
    assert "No model is named: own:1m:q8_0 is the best model of the catalogue that fits" in words


def test_where_nothing_of_the_catalogue_fits_nothing_is_pulled(lswarm):
    done = lswarm("models", "pull", code=6, LSWARM_HARDWARE__RESERVE_BYTES=str(1 << 60))
    assert "None of the models known here fits this machine" in done.stderr
    assert lswarm.hub.seen == []


def test_detect_is_used_without_a_command(lswarm):
    lswarm("--detect", "status", code=2)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("pull", "qwen2.5-codr:7b"), 5, "nearest known one is qwen2.5-coder:7b"),
        (("pull", "qwen2.5-coder"), 5, "several sizes"),
        (("rm", NAME), 5, "is not downloaded"),
        (("verify", NAME), 5, "is not downloaded"),
        (("pull", "hf:nobody/nothing"), 5, "no repository nobody/nothing"),
        (("show", "hf:wrong"), 5, "does not name a repository"),
    ],
)
def test_a_mistake_is_two_sentences_and_a_code(lswarm, args, code, said):
    done = lswarm("models", *args, code=code)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_offline_is_told_in_words(lswarm):
    done = lswarm("models", "pull", NAME, code=5, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE forbids the network" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process")
def test_control_c_keeps_what_has_arrived(lswarm):
    whole = BYTES + bytes(28_000_000)
    lswarm.hub.repos[REPO][FILE] = whole
    lswarm.hub.hold = 24_000_000  # more than sockets hold, so some has arrived
    command = [sys.executable, "-m", "local_swarm", "models", "pull", NAME]
    with subprocess.Popen(command, env=lswarm.env, stderr=subprocess.PIPE, text=True) as process:
        assert lswarm.hub.held.wait(30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    lswarm.hub.go.set()
    assert process.returncode == 130
    assert "Traceback" not in said
    (part,) = (lswarm.home / "cache" / "models" / REPO).glob("*.part")
    have = part.stat().st_size
    assert have > 0
    path = lswarm("models", "pull", NAME).stdout.strip()
    assert Path(path).read_bytes() == whole
    assert lswarm.hub.asked("cdn")[-1].headers["range"] == f"bytes={have}-"


def test_removing_touches_only_the_store(lswarm, tmp_path):
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(BYTES)
    lswarm("models", "rm", str(mine), code=5)
    assert mine.exists()
    lswarm("models", "pull", NAME)
    lswarm("models", "rm", f"hf:{REPO}:{FILE}")
    assert mine.exists()


def test_another_folder_can_be_set(lswarm, tmp_path):
    done = lswarm("models", "pull", NAME, LSWARM_MODELS__CACHE_DIR=str(tmp_path / "disk"))
    assert done.stdout.startswith(str(tmp_path / "disk"))
    assert not (tmp_path / "cache").exists()


def test_listing_does_not_import_the_hub():
    code = (
        "import sys\nimport local_swarm.models\n"
        "from local_swarm.models import overview\n"
        "print(*[m for m in ('huggingface_hub', 'rich', 'aiohttp', 'asyncio', 'httpx2')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

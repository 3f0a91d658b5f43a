"""Downloading from a hub that breaks off, lies, refuses or is away."""

from __future__ import annotations

import errno
import hashlib
import random
import shutil

import pytest

from local_swarm.errors import BusyError, ConfigError, ModelError
from local_swarm.models import download as room
from local_swarm.models.download import TRIES, Puller
from local_swarm.models.pulling import look_up, problems
from local_swarm.models.store import part_path, read_origin
from tests.models.gguf_files import small_llama

REPO = "maker/Fine-Coder-GGUF"
BYTES = small_llama().encode() + random.Random(1).randbytes(3_000_000)


class Pull:
    """Pulls from the fake hub, counting pauses instead of making them."""

    def __init__(self, store):
        self.pauses, self.reports = [], []
        self.store = store
        self.puller = Puller(store, lambda *far: self.reports.append(far), self.pauses.append)

    def __call__(self, reference=f"hf:{REPO}"):
        wanted = look_up(reference, self.puller)
        return self.puller.pull(wanted.listing, wanted.names)

    def part(self, data=BYTES, name="fine-q4_k_m.gguf"):
        return part_path(self.store.path(REPO, name), hashlib.sha256(data).hexdigest())


@pytest.fixture
def pull(hub, store):
    hub.repos[REPO] = {"fine-q4_k_m.gguf": BYTES, "README.md": b"about"}
    hub.git_files.add("README.md")
    return Pull(store)


def ranges(hub):
    return [seen.headers.get("range") for seen in hub.asked("cdn")]


def test_a_pulled_file_is_whole_verified_and_known(pull):
    stored = pull()
    assert stored.path == pull.store.root / REPO / "fine-q4_k_m.gguf"
    assert stored.path.read_bytes() == BYTES
    origin = read_origin(stored.path)
    assert origin.sha256 == hashlib.sha256(BYTES).hexdigest()
    assert origin.size_bytes == len(BYTES)
    assert list(problems(stored)) == []
    assert pull.reports[-1] == (len(BYTES), len(BYTES))
    assert pull.reports == sorted(pull.reports)


def test_a_second_pull_fetches_nothing(hub, pull):
    pull()
    before = len(hub.asked("cdn"))
    pull()
    assert len(hub.asked("cdn")) == before


def test_a_connection_cut_in_the_middle_goes_on_where_it_stopped(hub, pull):
    hub.cuts = [1_000_000, 500_000]
    assert pull().path.read_bytes() == BYTES
    assert len(hub.asked("cdn")) == 3
    assert ranges(hub)[0] is None
    assert all(int(r.removeprefix("bytes=").rstrip("-")) > 0 for r in ranges(hub)[1:])
    assert pull.pauses == []  # each attempt brought something


def test_an_interrupted_program_loses_nothing(hub, pull):
    def interrupt(done, total):
        if done > 1_000_000:
            raise KeyboardInterrupt

    pull.puller.report = interrupt
    with pytest.raises(KeyboardInterrupt):
        pull()
    have = pull.part().stat().st_size
    assert 1_000_000 < have < len(BYTES)
    again = Pull(pull.store)
    assert again().path.read_bytes() == BYTES
    assert ranges(hub)[-1] == f"bytes={have}-"
    assert not pull.part().exists()


def test_a_part_that_was_complete_needs_no_request(hub, pull):
    pull.part().parent.mkdir(parents=True)
    pull.part().write_bytes(BYTES)
    assert pull().path.read_bytes() == BYTES
    assert hub.asked("cdn") == []


@pytest.mark.parametrize("content", [b"x" * 100, b"x" * (len(BYTES) + 1)])
def test_a_part_with_other_bytes_is_found_out(pull, content):
    pull.part().parent.mkdir(parents=True)
    pull.part().write_bytes(content)
    if len(content) < len(BYTES):
        with pytest.raises(ModelError, match="damaged"):
            pull()
    assert pull().path.read_bytes() == BYTES


def test_a_part_of_an_older_version_is_not_continued(hub, pull):
    hub.cuts = [1_000_000] + [0] * TRIES
    with pytest.raises(ModelError, match="could not be downloaded"):
        pull()
    older, hub.cuts = pull.part(), []
    assert older.stat().st_size == 1_000_000
    newer = BYTES[::-1]
    hub.repos[REPO]["fine-q4_k_m.gguf"] = newer
    assert pull().path.read_bytes() == newer
    assert not older.exists()


def test_a_new_version_of_the_same_size_is_fetched(hub, pull):
    pull()
    newer = hub.repos[REPO]["fine-q4_k_m.gguf"] = BYTES[::-1]
    stored = pull()
    assert stored.path.read_bytes() == newer
    assert next(problems(stored)).endswith("is not a GGUF file.")


def test_a_server_without_ranges_starts_again(hub, pull):
    hub.cuts, hub.ranges = [1_000_000], False
    assert pull().path.read_bytes() == BYTES


def test_a_wrong_checksum_is_refused_and_forgotten(hub, pull):
    hub.spoiled = True
    with pytest.raises(ModelError, match="arrived damaged") as caught:
        pull()
    assert "again" in caught.value.hint
    assert pull.store.all() == ()
    assert not pull.part().exists()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_hub_is_asked_again(hub, pull, status):
    hub.statuses, hub.file_statuses = [status], [status, status]
    assert pull().path.read_bytes() == BYTES
    assert pull.pauses == [1.0, 1.0, 2.0]


def test_a_hub_that_stays_away_is_given_up_after_a_bounded_time(hub, pull):
    hub.file_statuses = [503] * 100
    with pytest.raises(ModelError, match="503") as caught:
        pull()
    assert len(pull.pauses) == TRIES - 1
    assert sum(pull.pauses) < 60
    assert "where it stopped" in caught.value.hint


def test_nobody_listening_is_an_error_in_words(monkeypatch, pull):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="could not be downloaded"):
        pull()


def test_a_login_page_is_no_hub(hub, pull):
    hub.login_page = True
    with pytest.raises(ModelError, match="is not a hub") as caught:
        pull()
    assert "HF_ENDPOINT" in caught.value.hint


def test_an_address_that_is_none(monkeypatch, pull):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub:port")
    with pytest.raises(ModelError, match="HF_ENDPOINT is no address"):
        pull()


def test_offline_says_so_without_trying(hub, pull, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as caught:
        pull()
    assert "models.cache_dir" in caught.value.hint
    assert hub.seen == []


def test_a_repository_that_is_not_there(pull):
    with pytest.raises(ModelError, match="no repository maker/Other, or it is private"):
        pull("hf:maker/Other")


def test_a_private_repository_needs_the_token(hub, pull, monkeypatch):
    hub.token = "hf_secret"
    with pytest.raises(ModelError, match="private"):
        pull()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull().path.read_bytes() == BYTES


def test_a_gated_repository_says_where_to_accept(hub, pull):
    hub.token = "hf_secret"
    hub.gated.add(REPO)
    with pytest.raises(ModelError, match="accept its terms") as caught:
        pull()
    assert f"{hub.url}/{REPO}" in caught.value.hint
    assert "HF_TOKEN" in caught.value.hint


def test_the_token_never_leaves_the_hub(hub, pull, monkeypatch):
    hub.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull()
    assert all("authorization" in seen.headers for seen in hub.asked("hub"))
    assert not any("authorization" in seen.headers for seen in hub.asked("cdn"))


def test_room_on_the_disk_is_checked_before_a_byte_is_fetched(hub, pull, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1_000_000)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ModelError, match="are needed") as caught:
        pull()
    assert "models rm" in caught.value.hint
    assert hub.asked("cdn") == []


def test_what_is_here_already_needs_no_room(pull, monkeypatch):
    pull()
    usage = shutil.disk_usage(".")._replace(free=0)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage)
    assert pull().path.is_file()


def test_a_disk_that_fills_up_keeps_what_there_is(pull, monkeypatch):
    def full(part, chunk):
        if part.length > 500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        add(part, chunk[:100_000])
        raise room.Transient("cut")

    add = room._Part.add
    monkeypatch.setattr(room._Part, "add", full)
    with pytest.raises(ModelError, match="disk is full"):
        pull()
    assert pull.part().stat().st_size > 500_000
    monkeypatch.undo()
    assert pull.part().read_bytes() == BYTES[: pull.part().stat().st_size]


def test_a_store_that_cannot_be_made(pull):
    pull.store.root.write_text("a file where the folder should be")
    with pytest.raises(ConfigError, match="cannot be created"):
        pull()


def test_two_programs_do_not_write_one_file(pull):
    from filelock import FileLock

    path = pull.store.path(REPO, "fine-q4_k_m.gguf")
    path.parent.mkdir(parents=True)
    with FileLock(f"{path}.lock"), pytest.raises(BusyError, match="another program"):
        pull()


def test_all_parts_of_a_split_model_are_pulled(hub, pull):
    names = [f"big-Q4_K_M-{n:05d}-of-00003.gguf" for n in (1, 2, 3)]
    hub.repos[REPO] = {f"Q4_K_M/{name}": bytes([n]) * 2000 for n, name in enumerate(names)}
    hub.cuts = [2000, 700]
    stored = pull(f"hf:{REPO}:Q4_K_M")
    assert [path.name for path in stored.paths] == names
    assert stored.model_id == "big-Q4_K_M"
    assert [path.read_bytes()[0] for path in stored.paths] == [0, 1, 2]
    assert pull.reports[-1] == (6000, 6000)


def test_a_split_model_with_a_missing_part_is_refused(hub, pull):
    hub.repos[REPO] = {"big-Q4_K_M-00001-of-00002.gguf": b"x"}
    with pytest.raises(ModelError, match="lacks big-Q4_K_M-00002"):
        pull()


def test_a_file_without_a_checksum_is_checked_by_its_size(hub, pull):
    hub.git_files.add("fine-q4_k_m.gguf")
    stored = pull()
    assert read_origin(stored.path).sha256 is None

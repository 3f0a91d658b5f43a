"""The Hugging Face hub: what a repository holds, and bytes of its files. Uses huggingface-hub.

`HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are obeyed as they are when a call is made. The
library is imported only by the first call. Everything blocks; every failure is a `ModelError`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models.facts import facts_of
from local_swarm.models.gguf import Header, read_header

TIMEOUT_S = 30.0
FIRST_BYTES = 1 << 20
MOST_HEADER_BYTES = 64 << 20  # Gemma's vocabulary, the largest, takes about 15 MiB
CHUNK_BYTES = 1 << 20
_TRUE = {"1", "on", "yes", "true"}
TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the hub; `sha256` is None for one that git itself stores (a small one)."""

    name: str
    size_bytes: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A repository at one commit."""

    repo: str
    revision: str
    files: tuple[RemoteFile, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(file.name for file in self.files)

    def __getitem__(self, name: str) -> RemoteFile:
        return next(file for file in self.files if file.name == name)


class Transient(Exception):
    """The connection broke, or the hub is overloaded: worth another try."""


def listing(repo: str, revision: str | None = None) -> Listing:
    """All files of `owner/name`, with sizes and checksums. One request."""
    _refuse_offline(repo)
    with _translated(repo):
        from huggingface_hub import HfApi

        info = HfApi(endpoint=_endpoint()).model_info(
            repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S, token=_token()
        )
    files = tuple(
        RemoteFile(file.rfilename, file.size, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
        if file.size is not None
    )
    return Listing(repo, info.sha or "main", files)


def read_remote_header(repo: str, file: str, *, revision: str | None = None) -> Header:
    """The header of a file that is not downloaded: reads only its beginning, at most 64 MiB.

    Takes the first MiB, and four times as much each time that is too little.
    """
    found = listing(repo, revision)
    if file not in found.names:
        raise ModelError(f"{repo} has no file {file}.", hint="`lswarm models show` lists what is.")
    with tempfile.TemporaryDirectory(prefix="lswarm-") as directory:
        return _growing(found, found[file], Path(directory) / Path(file).name)


def read_remote_facts(repo: str, file: str, *, revision: str | None = None) -> ModelFacts:
    """As `read_remote_header`, understood."""
    return facts_of(read_remote_header(repo, file, revision=revision))


@contextmanager
def opened(listing: Listing, file: str, start: int, end: int | None = None) -> Iterator[Any]:
    """A streamed response with the file's bytes from `start` (to before `end`).

    Raises `Transient` for what another try may cure, also while the body is read; a server that
    ignores the range answers 200 (206 otherwise).
    """
    _refuse_offline(listing.repo)
    with _translated(listing.repo):
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        url = hf_hub_url(listing.repo, file, revision=listing.revision, endpoint=_endpoint())
        headers = build_hf_headers(token=_token(), library_name="local_swarm")
        headers["Accept-Encoding"] = "identity"
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
            if response.status_code in TRANSIENT:
                raise Transient(f"the hub answered {response.status_code}")
            if response.status_code != 416:
                hf_raise_for_status(response)
            yield response


def is_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` forbids the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in _TRUE


def _growing(found: Listing, file: RemoteFile, path: Path) -> Header:
    have, want = 0, FIRST_BYTES
    while True:
        want = min(want, file.size_bytes, MOST_HEADER_BYTES)
        path.touch()
        with path.open("r+b") as out, opened(found, file.name, have, want) as response:
            out.seek(have if response.status_code == 206 else 0)
            _copy(response, out, want)
            out.truncate(file.size_bytes)  # a hole, so that tensors lie inside the file
        have = want
        whole = have in (file.size_bytes, MOST_HEADER_BYTES)
        with path.open("rb") as file_in:
            foreign = file_in.read(4) != b"GGUF"
        try:
            header = read_header(path)
            if header.data_offset <= have or whole:
                return header
        except ModelError:
            if whole or foreign:
                raise
        want *= 4


def _copy(response: Any, out: Any, until: int) -> None:
    for chunk in response.iter_bytes(CHUNK_BYTES):
        room = until - out.tell()
        out.write(chunk[:room])
        if len(chunk) >= room:
            return


def _endpoint() -> str | None:
    return (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None


def _token() -> str | bool:
    from huggingface_hub import get_token

    return get_token() or False


def _refuse_offline(repo: str) -> None:
    if is_offline():
        raise ModelError(
            f"{repo} cannot be reached: HF_HUB_OFFLINE forbids the network.",
            hint="Unset HF_HUB_OFFLINE, or copy the files into models.cache_dir (docs/models.md).",
        )


def _quiet() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@contextmanager
def _translated(repo: str) -> Iterator[None]:
    """Turns what huggingface-hub and its HTTP library raise into `ModelError` and `Transient`."""
    _quiet()
    from huggingface_hub import errors
    from huggingface_hub.utils import get_session

    library = import_module(type(get_session()).__module__.partition(".")[0])  # httpx, or its heir
    try:
        yield
    except errors.GatedRepoError as error:
        raise _gated(repo) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"The hub has no repository {repo}, or it is private.",
            hint="Check the name; for a private one set HF_TOKEN.",
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise ModelError(
            f"{repo} no longer has that file.", hint="`lswarm models show` lists what it has."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(f"{repo} cannot be reached: huggingface-hub is offline.") from error
    except errors.HfHubHTTPError as error:
        raise _http_error(repo, error) from error
    except library.TransportError as error:
        raise Transient(str(error) or type(error).__name__) from error
    except errors.HFValidationError as error:
        raise ModelError(f"{repo!r} is no name of a repository.", hint="Write owner/name.") from error


def _gated(repo: str) -> ModelError:
    site = _endpoint() or "https://huggingface.co"
    return ModelError(
        f"{repo} asks everyone to accept its terms first.",
        hint=f"Accept them at {site}/{repo}, then set HF_TOKEN to a token of that account.",
    )


def _http_error(repo: str, error: Any) -> Exception:
    status = error.response.status_code
    if status in TRANSIENT:
        return Transient(f"the hub answered {status}")
    if status in (401, 403):
        return ModelError(
            f"The hub refused {repo} ({status}).", hint="Check HF_TOKEN and what it may read."
        )
    return ModelError(f"The hub answered {status} for {repo}.", hint="Try again later.")

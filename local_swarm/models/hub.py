"""The Hugging Face hub: what a repository holds, and bytes of its files. Uses huggingface-hub.

`HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are obeyed as they are when a call is made. The
library is imported only by the first call. Everything blocks; every failure is a `ModelError`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from local_swarm.domain.model import ModelFacts
from local_swarm.errors import ModelError
from local_swarm.models.facts import facts_of
from local_swarm.models.gguf import Header, read_header
from local_swarm.models.hub_errors import TRANSIENT, Transient, endpoint, translated

TIMEOUT_S = 30.0
FIRST_BYTES = 1 << 20
MOST_HEADER_BYTES = 64 << 20  # Gemma's vocabulary, the largest, takes about 15 MiB
CHUNK_BYTES = 1 << 20
_TRUE = {"1", "on", "yes", "true"}


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


def listing(repo: str, revision: str | None = None) -> Listing:
    """All files of `owner/name`, with sizes and checksums. One request; may raise `Transient`."""
    _refuse_offline(repo)
    with translated(repo):
        from huggingface_hub import HfApi

        info = _understood(
            repo,
            lambda: HfApi(endpoint=endpoint()).model_info(
                repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S, token=_token()
            ),
        )
    files = tuple(
        RemoteFile(file.rfilename, file.size, file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or ()
        if file.size is not None
    )
    return Listing(repo, info.sha or "main", files)


def _understood(repo: str, ask: Callable[[], Any]) -> Any:
    """What the hub says; `ModelError` where a login page or a proxy answers in its place."""
    try:
        return ask()
    except (JSONDecodeError, TypeError, KeyError) as error:
        raise ModelError(
            f"What answered for {repo} is not a hub.", hint="Check HF_ENDPOINT and the proxy."
        ) from error


def read_remote_header(repo: str, file: str, *, revision: str | None = None) -> Header:
    """The header of a file that is not downloaded: reads only its beginning, at most 64 MiB.

    Takes the first MiB, and four times as much each time that is too little.
    """
    try:
        found = listing(repo, revision)
        if file not in found.names:
            raise ModelError(f"{repo} has no file {file}.", hint="Check its name on the hub.")
        with tempfile.TemporaryDirectory(prefix="lswarm-") as directory:
            return _growing(found, found[file], Path(directory) / Path(file).name)
    except Transient as error:
        raise ModelError(f"{repo} could not be read: {error}.", hint="Try again later.") from error


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
    with translated(listing.repo):
        from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status

        url = hf_hub_url(listing.repo, file, revision=listing.revision, endpoint=endpoint())
        headers = {"Accept-Encoding": "identity", **_authorization()}
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
        header = _complete_header(path, have, last=have in (file.size_bytes, MOST_HEADER_BYTES))
        if header is not None:
            return header
        want *= 4


def _complete_header(path: Path, have: int, *, last: bool) -> Header | None:
    """The header, where it lies within the first `have` bytes; None where more may be needed."""
    with path.open("rb") as file:
        foreign = file.read(4) != b"GGUF"
    try:
        header = read_header(path)
    except ModelError:
        if last or foreign:
            raise
        return None
    if header.data_offset <= have:
        return header
    if last:
        raise ModelError(f"The header of {path.name} is longer than {have} bytes.")
    return None


def _copy(response: Any, out: Any, until: int) -> None:
    for chunk in response.iter_bytes():
        room = until - out.tell()
        out.write(chunk[:room])
        if len(chunk) >= room:
            return


def _token() -> str | bool:
    from huggingface_hub import get_token

    return get_token() or False


def _authorization() -> dict[str, str]:
    """The HTTP library drops it when the hub sends us to another host."""
    token = _token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _refuse_offline(repo: str) -> None:
    if is_offline():
        raise ModelError(
            f"{repo} cannot be reached: HF_HUB_OFFLINE forbids the network.",
            hint="Unset HF_HUB_OFFLINE, or copy the files into models.cache_dir (docs/models.md).",
        )

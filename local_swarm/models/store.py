"""Where downloaded models lie: `<models.cache_dir>/<owner>/<repo>/<the file's name there>`.

Beside each file stands `<name>.origin`, a few lines of JSON saying what was downloaded and its
checksum; an unfinished download is `<name>.<checksum>.part`. Nothing else is kept, so the files
can be copied to another machine, or put there by hand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from local_swarm.config.paths import chosen, user_paths
from local_swarm.errors import ModelError
from local_swarm.models.entries import part_names, unsplit_stem
from local_swarm.models.references import is_model

ORIGIN = ".origin"
PART = ".part"
LOCK = ".lock"


class Origin(msgspec.Struct, frozen=True):
    """What was downloaded: the commit of the repository, and the file's size and SHA-256."""

    repo: str
    file: str
    revision: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """One model in the store: its parts in order, all of them there."""

    repo: str
    file: str
    paths: tuple[Path, ...]
    size_bytes: int

    @property
    def path(self) -> Path:
        """What an engine is given: the first part."""
        return self.paths[0]

    @property
    def reference(self) -> str:
        return f"hf:{self.repo}:{self.file}"

    @property
    def model_id(self) -> str:
        return unsplit_stem(self.file)


@dataclass(frozen=True, slots=True)
class Store:
    """The directory of downloaded models. Reading it creates nothing."""

    root: Path

    @classmethod
    def of(cls, cache_dir: str = "") -> Store:
        """The store that the setting `models.cache_dir` names, the user's own where it is empty."""
        return cls(chosen(cache_dir, user_paths().cache / "models"))

    def path(self, repo: str, file: str) -> Path:
        """Where a repository's file lies, or would lie; `ModelError` for a name that leads out."""
        path = self.root / repo / file
        if not _inside(path, self.root / repo) or not _inside(self.root / repo, self.root):
            raise ModelError(f"{repo}/{file} is no name of a model file.", hint="Check the name.")
        return path

    def get(self, repo: str, file: str) -> Stored | None:
        """The model whose first part is `file`, when every part is there."""
        paths = tuple(self.path(repo, name) for name in part_names(file))
        if not all(path.is_file() for path in paths):
            return None
        return Stored(repo, file, paths, sum(path.stat().st_size for path in paths))

    def all(self) -> tuple[Stored, ...]:
        """Every complete model, by repository and name."""
        return tuple(sorted(self._all(), key=lambda stored: stored.reference))

    def of_repo(self, repo: str) -> tuple[Stored, ...]:
        return tuple(stored for stored in self.all() if stored.repo == repo)

    def holding(self, path: Path) -> Stored | None:
        """The model that has `path` among its files."""
        wanted = Path(os.path.abspath(path))
        return next((stored for stored in self.all() if wanted in stored.paths), None)

    def remove(self, stored: Stored) -> int:
        """Deletes a model's files and what belongs to them; the bytes that freed. Only in here."""
        freed = 0
        for path in stored.paths:
            if not _inside(path, self.root):
                raise ModelError(f"{path} is not in {self.root}.", hint="Delete it yourself.")
            for file in (path, *beside(path, ORIGIN, PART, LOCK)):
                freed += file.stat().st_size
                file.unlink()
        self._prune(stored.path.parent)
        return freed

    def _all(self) -> Iterator[Stored]:
        for path in self.root.glob("*/*/**/*.gguf"):
            owner, repo, *rest = path.relative_to(self.root).parts
            if is_model(path.name) and (found := self.get(f"{owner}/{repo}", "/".join(rest))):
                yield found

    def _prune(self, directory: Path) -> None:
        """Removes directories that are left empty, up to the store itself."""
        while directory != self.root and _inside(directory, self.root):
            try:
                directory.rmdir()
            except OSError:  # something is left in it
                return
            directory = directory.parent


def origin_path(path: Path) -> Path:
    return path.with_name(path.name + ORIGIN)


def part_path(path: Path, sha256: str | None) -> Path:
    """Where the unfinished download of one very content lies."""
    return path.with_name(f"{path.name}.{(sha256 or 'unknown')[:12]}{PART}")


def read_origin(path: Path) -> Origin | None:
    """What is known of a file's download; None where it was put there by hand."""
    try:
        return msgspec.json.decode(origin_path(path).read_bytes(), type=Origin)
    except (OSError, msgspec.DecodeError):
        return None


def write_origin(path: Path, origin: Origin) -> None:
    text = msgspec.json.format(msgspec.json.encode(origin), indent=2)
    origin_path(path).write_bytes(text + b"\n")


def beside(path: Path, *kinds: str) -> tuple[Path, ...]:
    """What lies beside a file and belongs to it."""
    return tuple(
        file
        for file in path.parent.iterdir()
        if file.name.startswith(f"{path.name}.") and file.suffix in kinds
    )


def _inside(path: Path, root: Path) -> bool:
    return os.path.abspath(path).startswith(os.path.abspath(root) + os.sep)

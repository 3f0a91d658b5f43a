"""A Hugging Face hub on this machine: what huggingface-hub and our own reader ask of it.

Two servers, as there are two hosts in the world: the hub answers the API and redirects to the
files; the other (the CDN) has the bytes and honours ranges. Faults are set from the outside.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Seen:
    """One request that arrived; header names are lower case."""

    host: str
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class FakeHub:
    """Repositories and faults.

    `cuts`: after how many bytes the next file answers break off. `hold`: after how many the next
    one stops, sets `held`, and waits for `go` before it breaks off.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    token: str | None = None
    gated: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    file_statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    hold: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    spoiled: bool = False
    login_page: bool = False
    git_files: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    cdn_url: str = ""

    def info(self, repo: str) -> dict[str, Any]:
        return {
            "id": repo,
            "sha": COMMIT,
            "private": False,
            "gated": "manual" if repo in self.gated else False,
            "siblings": [self.sibling(name, data) for name, data in self.repos[repo].items()],
        }

    def sibling(self, name: str, data: bytes) -> dict[str, Any]:
        known = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
        if name in self.git_files:
            return known
        digest = hashlib.sha256(data).hexdigest()
        return {**known, "lfs": {"sha256": digest, "size": len(data), "pointerSize": 134}}

    def asked(self, host: str) -> list[Seen]:
        return [request for request in self.seen if request.host == host]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    host: str
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str = "", message: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        self.answer(status, {**headers, "X-Error-Message": message or code or str(status)})

    def note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.seen.append(Seen(self.host, self.command, path, headers))
        return path

    def do_HEAD(self) -> None:
        self.do_GET()


class _Hub(_Handler):
    host = "hub"

    def do_GET(self) -> None:
        path = self.note()
        if self.hub.login_page:
            return self.answer(200, {"Content-Type": "text/html"}, b"<html>Log in</html>")
        if self.hub.statuses:
            return self.fail(self.hub.statuses.pop(0))
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/\w+)?", path):
            repo = match[1]
            if self.allowed(repo):
                self.answer(
                    200, {"X-Repo-Commit": COMMIT}, json.dumps(self.hub.info(repo)).encode()
                )
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            if self.allowed(match[1], gate=True):
                self.resolve(match[1], match[2])
        else:
            self.fail(404)
        return None

    def allowed(self, repo: str, *, gate: bool = False) -> bool:
        known = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        if repo not in self.hub.repos or (
            self.hub.token and not known and repo not in self.hub.gated
        ):
            self.fail(401 if not known else 404, "RepoNotFound", "Repository not found")
            return False
        if gate and repo in self.hub.gated and not known:
            self.fail(401 if "Authorization" not in self.headers else 403, "GatedRepo")
            return False
        return True

    def resolve(self, repo: str, name: str) -> None:
        data = self.hub.repos[repo].get(name)
        if data is None:
            return self.fail(404, "EntryNotFound")
        digest = hashlib.sha256(data).hexdigest()
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{digest}"',
            "ETag": f'"{hashlib.sha1(data).hexdigest()}"',
            "Location": f"{self.hub.cdn_url}/{repo}/{name}",
        }
        return self.answer(302, headers)


class _Cdn(_Handler):
    host = "cdn"

    def do_GET(self) -> None:
        path = self.note()
        owner, repo, name = path.lstrip("/").split("/", 2)
        data = self.hub.repos[f"{owner}/{repo}"][name]
        if self.hub.file_statuses:
            return self.fail(self.hub.file_statuses.pop(0))
        start, end, status = self.span(len(data))
        if start >= len(data):
            return self.answer(416, {"Content-Range": f"bytes */{len(data)}"})
        body = data[start:end]
        if self.hub.spoiled:
            body = bytes(len(body))
        self.send_response(status)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.hub.hold is not None:
            return self.pause(body)
        if self.hub.cuts:
            body, self.close_connection = body[: self.hub.cuts.pop(0)], True
        self.wfile.write(body)
        return None

    def pause(self, body: bytes) -> None:
        assert self.hub.hold is not None
        self.wfile.write(body[: self.hub.hold])
        self.wfile.flush()
        self.hub.hold, self.close_connection = None, True
        self.hub.held.set()
        self.hub.go.wait(30)

    def span(self, size: int) -> tuple[int, int, int]:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not self.hub.ranges:
            return 0, size, 200
        return int(wanted[1]), min(size, int(wanted[2] or size - 1) + 1), 206


@contextmanager
def running() -> Iterator[FakeHub]:
    """A hub on free ports for the length of a test."""
    hub = FakeHub()
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), type(kind.__name__, (kind,), {"hub": hub}))
        for kind in (_Hub, _Cdn)
    ]
    hub.url, hub.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    threads = [threading.Thread(target=s.serve_forever, args=(0.01,), name="hub") for s in servers]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()

"""A stand-in for a model hub: the protocol by which its real client makes repositories and uploads, on loopback.

It stores what arrives, as a hub does: large files by the LFS protocol, in parts; small ones within a commit. Faults are
planted by `on`, which sees each request before it is answered.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fleet.services import Answer, Request, serving

LARGE = 1000
"""Bytes from which a file goes by LFS; a real hub decides by its name, and by 10 MB."""

PART = 4096
"""Bytes of a part of an upload."""

TOKEN = "hf_test"


@dataclass
class Repository:
    private: bool
    gated: str | bool = False
    files: dict[str, tuple[bytes, bool]] = field(default_factory=lambda: {".gitattributes": (b"", False)})
    """Contents by name, and True for a file that came by LFS."""
    commits: list[list[str]] = field(default_factory=lambda: [[".gitattributes"]])
    """The names that each commit wrote or deleted."""
    licence: str | None = None

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(self.commits).encode()).hexdigest()


@dataclass
class Hub:
    """The hub's state, for tests to look at and to damage."""

    user: str = "ada"
    role: str = "write"
    repositories: dict[str, Repository] = field(default_factory=dict[str, Repository])
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """Large files by their SHA-256, also those that no commit names."""
    parts: dict[tuple[str, int], bytes] = field(default_factory=dict[tuple[str, int], bytes])
    sent: list[str] = field(default_factory=list[str])
    """The SHA-256 of each large file whose upload was completed."""
    requests: list[str] = field(default_factory=list[str])
    visible: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    """After each commit: the repository, and True if it was private then."""
    on: Callable[[Request], Answer | None] = lambda request: None
    url: str = ""

    def answer(self, request: Request) -> Answer:
        path = request.path.partition("?")[0]
        self.requests.append(f"{request.method} {path}")
        planted = self.on(request)
        if planted is not None:
            return planted
        if request.path.startswith("/storage/"):
            return self._store_part(path, request.body)
        # As on a hub, the address to complete an upload at is its own permission.
        if not path.startswith("/complete/") and request.authorization != f"Bearer {TOKEN}":
            return _json(401, {"error": "Invalid credentials"})
        for pattern, method in _ROUTES:
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                return getattr(self, method)(request, *found.groups())
        return _json(404, {"error": f"no route for {request.method} {path}"})

    def whoami(self, request: Request) -> Answer:
        return _json(200, {"name": self.user, "orgs": [], "auth": {"accessToken": {"role": self.role}}})

    def create(self, request: Request) -> Answer:
        asked = json.loads(request.body)
        name = f"{asked['organization'] or self.user}/{asked['name']}"
        if name in self.repositories:
            return _json(409, {"error": "You already created this model repo", "url": f"{self.url}/{name}"})
        self.repositories[name] = Repository(asked.get("visibility") == "private")
        return _json(200, {"url": f"{self.url}/{name}"})

    def info(self, request: Request, name: str, revision: str | None = None) -> Answer:
        if name not in self.repositories:
            return _not_found()
        repository = self.repositories[name]
        tags = [f"license:{repository.licence}"] if repository.licence else []
        siblings = [{"rfilename": file} for file in repository.files]
        facts = {"private": repository.private, "gated": repository.gated, "tags": tags, "siblings": siblings}
        return _json(200, {"id": name, "sha": repository.sha, **facts})

    def settings(self, request: Request, name: str) -> Answer:
        asked = json.loads(request.body)
        repository = self.repositories[name]
        repository.gated = asked.get("gated", repository.gated)
        repository.private = asked.get("visibility", "private" if repository.private else "public") == "private"
        return _json(200, {})

    def tree(self, request: Request, name: str, revision: str) -> Answer:
        if name not in self.repositories:
            return _not_found()
        return _json(200, [self._entry(file, *held) for file, held in self.repositories[name].files.items()])

    def preupload(self, request: Request, name: str, revision: str) -> Answer:
        files = json.loads(request.body)["files"]
        modes = [{"path": one["path"], "uploadMode": "lfs" if one["size"] >= LARGE else "regular"} for one in files]
        return _json(200, {"files": [{**mode, "shouldIgnore": False} for mode in modes]})

    def batch(self, request: Request, name: str) -> Answer:
        asked = json.loads(request.body)
        if "xet" in asked["transfers"]:
            return _json(200, {"transfer": "xet", "objects": [{**one} for one in asked["objects"]]})
        return _json(200, {"transfer": "multipart", "objects": [self._object(one) for one in asked["objects"]]})

    def complete(self, request: Request, oid: str) -> Answer:
        count = len(json.loads(request.body)["parts"])
        self.objects[oid] = b"".join(self.parts.pop((oid, number)) for number in range(1, count + 1))
        self.sent.append(oid)
        return _json(200, {})

    def commit(self, request: Request, name: str, revision: str) -> Answer:
        repository, names = self.repositories[name], list[str]()
        for line in request.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                continue
            names.append(value["path"])
            if item["key"] == "file":
                repository.files[value["path"]] = (base64.b64decode(value["content"]), False)
            elif item["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    return _json(400, {"error": "the LFS object does not exist"})
                repository.files[value["path"]] = (self.objects[value["oid"]], True)
            else:
                del repository.files[value["path"]]
        repository.commits.append(names)
        self.visible.append((name, repository.private))
        return _json(200, {"commitUrl": f"{self.url}/{name}/commit/{repository.sha}", "commitOid": repository.sha})

    def validate(self, request: Request) -> Answer:
        return _json(200, {"errors": [], "warnings": []})

    def resolve(self, request: Request, name: str, revision: str, file: str) -> Answer:
        found = self.repositories[name].files.get(file)
        return (200, {}, found[0]) if found else _not_found()

    def _store_part(self, path: str, body: bytes) -> Answer:
        _, _, oid, number = path.split("/")
        self.parts[oid, int(number)] = body
        return 200, {"ETag": f'"{number}"'}, b""

    def _object(self, asked: dict[str, Any]) -> dict[str, Any]:
        oid, size = asked["oid"], asked["size"]
        if oid in self.objects:
            return {"oid": oid, "size": size}
        count = -(-size // PART)
        urls = {str(number): f"{self.url}/storage/{oid}/{number}" for number in range(1, count + 1)}
        upload = {"href": f"{self.url}/complete/{oid}", "header": {"chunk_size": str(PART), **urls}}
        return {"oid": oid, "size": size, "actions": {"upload": upload}}

    @staticmethod
    def _entry(name: str, data: bytes, large: bool) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "size": len(data)}
        if large:
            oid = hashlib.sha256(data).hexdigest()
            return {**entry, "oid": "0" * 40, "lfs": {"oid": oid, "size": len(data), "pointerSize": 130}}
        return {**entry, "oid": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    (r"GET /api/whoami-v2", "whoami"),
    (r"POST /api/repos/create", "create"),
    (r"POST /api/validate-yaml", "validate"),
    (rf"GET /api/models/{_NAME}", "info"),
    (rf"GET /api/models/{_NAME}/revision/(\w+)", "info"),
    (rf"PUT /api/models/{_NAME}/settings", "settings"),
    (rf"GET /api/models/{_NAME}/tree/(\w+)", "tree"),
    (rf"POST /api/models/{_NAME}/preupload/(\w+)", "preupload"),
    (rf"POST /{_NAME}.git/info/lfs/objects/batch", "batch"),
    (r"POST /complete/(\w+)", "complete"),
    (rf"POST /api/models/{_NAME}/commit/(\w+)", "commit"),
    (rf"GET /{_NAME}/resolve/(\w+)/(.+)", "resolve"),
)


@contextmanager
def hub_serving(hub: Hub) -> Generator[Hub]:
    with serving(hub.answer) as url:
        hub.url = url
        yield hub


def _json(status: int, value: object) -> Answer:
    headers = {"Content-Type": "application/json"}
    if isinstance(value, dict) and "error" in value:
        headers["X-Error-Message"] = str(value["error"])
    return status, headers, json.dumps(value).encode()


def _not_found() -> Answer:
    return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"{}"

"""A stand-in for a hub that serves one data set, by the protocol that `datasets` streams by."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.fleet.services import Answer, Request

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class DatasetHub:
    """The hub's one data set, at one commit."""

    name: str
    commit: str
    files: Mapping[str, bytes]

    def answer(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        path = urlsplit(path).path
        about, files = f"/api/datasets/{self.name}", f"/datasets/{self.name}/resolve/{self.commit}/"
        if path in (about, f"{about}/revision/{self.commit}"):
            found = {"id": self.name, "sha": self.commit, "siblings": [{"rfilename": name} for name in self.files]}
            return 200, JSON, json.dumps(found | {"private": False, "tags": [], "downloads": 0, "likes": 0}).encode()
        if path.startswith(f"{about}/tree/{self.commit}"):
            return 200, JSON, json.dumps(self._tree(path.partition(self.commit)[2].strip("/"), query)).encode()
        if path.startswith(files) and path.removeprefix(files) in self.files:
            data = self.files[path.removeprefix(files)]
            tag = f'"{hashlib.sha1(data).hexdigest()}"'
            return 200, {"ETag": tag, "X-Repo-Commit": self.commit, "Accept-Ranges": "bytes"}, data
        return 404, {"X-Error-Code": "EntryNotFound" if self.name in path else "RepoNotFound"}, b"{}"

    def _tree(self, folder: str, query: str) -> list[dict[str, Any]]:
        inside = f"{folder}/" if folder else ""
        below = [name.removeprefix(inside) for name in self.files if name.startswith(inside)]
        if "recursive=true" in query:
            return [self._entry(inside + name) for name in below]
        folders = sorted({name.partition("/")[0] for name in below if "/" in name})
        whole = [{"type": "directory", "path": inside + name, "size": 0, "oid": "0" * 40} for name in folders]
        return whole + [self._entry(inside + name) for name in below if "/" not in name]

    def _entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        return {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}

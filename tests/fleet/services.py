"""Services as the fleet meets them, on loopback: moto's AWS, an image registry, a model hub, one that never answers."""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest

Answer = tuple[int, Mapping[str, str], bytes]
Responder = Callable[["Request"], Answer]


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def authorization(self) -> str:
        return self.headers.get("Authorization", "")


@contextmanager
def serving(respond: Responder, clock: Callable[[], float] | None = None) -> Generator[str]:
    """A server that answers by `respond`; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            given = {name.title(): value for name, value in self.headers.items()}
            status, headers, data = respond(Request(self.command, self.path, given, body))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(clock() if clock else timestamp, usegmt=True)

        def log_request(self, code: object = None, size: object = None) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def hanging() -> Generator[str]:
    """A service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


DIGEST = "sha256:" + "ab" * 32


@dataclass
class Registry:
    """A registry that grants tokens, as the distribution protocol says; a `private` one asks for a login first."""

    private: bool = False
    basic: bool = False
    """Ask for the login itself, as ECR does."""
    token: bytes = b'{"token": "granted"}'
    """Body of its answer to a granted request for a token."""
    asked: list[str] = field(default_factory=list)
    url: str = ""

    LOGIN = base64.b64encode(b"me:secret").decode()

    def __call__(self, request: Request) -> Answer:
        self.asked.append(f"{request.method} {request.path}")
        if request.path.startswith("/token?"):
            if self.private and request.authorization != f"Basic {self.LOGIN}":
                return 401, {}, b"{}"
            assert "scope=repository%3Acortex%2Fsft%3Apull" in request.path, request.path
            return 200, {}, self.token
        wanted = f"Basic {self.LOGIN}" if self.basic else "Bearer granted"
        if request.authorization != wanted:
            bearer = f'Bearer realm="{self.url}/token",service="registry",scope="repository:cortex/sft:pull"'
            return 401, {"WWW-Authenticate": 'Basic realm="registry"' if self.basic else bearer}, b""
        assert "application/vnd.oci.image.index.v1+json" in request.headers["Accept"]
        found = request.path == f"/v2/cortex/sft/manifests/{DIGEST}"
        return (200 if found else 404), {}, b""


TRAINABLE = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b'{"model": {"type": "BPE"}}',
    "tokenizer_config.json": b'{"eos_token": "</s>", "chat_template": "{{ messages }}"}',
    "model.safetensors": b"weights",
}
"""A model's files, each of use to `sft`."""


COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""The commit of the hub's main branch."""


@dataclass(frozen=True)
class Hub:
    """A model hub with the files of `open/model` for anybody, and of `gated/model` for the user of `hf_let_in`.

    It has them at one commit, and describes them as the hub's API does: weights are kept by Git LFS, under their
    SHA-256; every other file under Git's own id. An `Answer` in place of a file's bytes is sent as it is.
    """

    files: Mapping[str, bytes | Answer] = field(default_factory=lambda: TRAINABLE)
    asked: list[str] = field(default_factory=list)
    commit: str = COMMIT
    listed: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Files as the listing describes them, where they differ from those that the hub then sends."""

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request.path)
        users = {"": None, "Bearer hf_let_in": "ada", "Bearer hf_new": "bob"}
        if request.authorization not in users:
            return 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, b'{"error": "Invalid"}'
        user = users[request.authorization]
        if request.path == "/api/whoami-v2":
            return 200, {"Content-Type": "application/json"}, json.dumps({"name": user}).encode()
        return self._of_model(request.path, user)

    def _of_model(self, path: str, user: str | None) -> Answer:
        base = next((name for name in ("open/model", "gated/model") if f"/{name}" in path), None)
        if base is None:
            return (404 if user else 401), {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Not found"}, b"{}"
        asked = path.removeprefix(f"/api/models/{base}")
        if asked in ("", f"/revision/{self.commit}"):  # anybody may see what a gated model holds
            siblings = [{"rfilename": name} for name in self.files]
            return 200, {}, json.dumps({"id": base, "sha": self.commit, "siblings": siblings}).encode()
        if asked.startswith("/revision/"):
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b"{}"
        if base == "gated/model" and user != "ada":
            words = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model gated/model is restricted"}
            return (403 if user else 401), words, b"{}"
        if asked == "/auth-check":
            return 200, {}, b"{}"
        return self._content(base, path)

    def _content(self, base: str, path: str) -> Answer:
        """The tree of the one commit, or a file of it."""
        if path.startswith(f"/api/models/{base}/tree/{self.commit}?"):
            return 200, {"Content-Type": "application/json"}, json.dumps([*map(self._entry, self.files)]).encode()
        found = self.files[unquote(path.removeprefix(f"/{base}/resolve/{self.commit}/"))]
        if not isinstance(found, bytes):
            return found
        name = path.rpartition("/")[2]
        return 200, {"X-Repo-Commit": self.commit, "ETag": f'"{self._id(name, found)}"'}, found

    def _entry(self, name: str) -> dict[str, object]:
        found = self.listed.get(name, self.files[name])
        data = found if isinstance(found, bytes) else b""
        entry: dict[str, object] = {"type": "file", "path": name, "size": len(data), "oid": git_id(data)}
        if _by_lfs(name):
            entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return entry

    @staticmethod
    def _id(name: str, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest() if _by_lfs(name) else git_id(data)


def git_id(data: bytes) -> str:
    """The id that `git hash-object` prints."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _by_lfs(name: str) -> bool:
    return name.endswith((".safetensors", ".bin", ".pth", ".pt"))


def quotas(values: Mapping[tuple[str, str], float]) -> Responder:
    """AWS's Service Quotas with the account's values by region and code; the default of all others is 0."""

    def respond(request: Request) -> Answer:
        operation = request.headers["X-Amz-Target"].rpartition(".")[2]
        code = json.loads(request.body)["QuotaCode"]
        region = request.authorization.partition("Credential=")[2].split("/")[2]
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        value = values.get((region, code))
        if operation == "GetServiceQuota" and value is None:
            return 400, headers, json.dumps({"__type": "NoSuchResourceException", "Message": "none"}).encode()
        return 200, headers, json.dumps({"Quota": {"QuotaCode": code, "Value": value or 0.0}}).encode()

    return respond


@dataclass(frozen=True)
class Aws:
    """moto's AWS, empty. The environment sends this process, and every program that it starts, there."""

    url: str
    variables: dict[str, str]


@pytest.fixture(scope="session")
def moto_url() -> Generator[str]:
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # moto's first answer of each service takes seconds, longer than the tested code waits.
        who = {"endpoint_url": url, "region_name": "us-east-1", "aws_access_key_id": "a", "aws_secret_access_key": "a"}
        boto3.client("ec2", **who).describe_instance_types(InstanceTypes=["p5.48xlarge"])
        boto3.client("sts", **who).get_caller_identity()
        boto3.client("s3", **who).list_buckets()
        yield url
        server.stop()


@pytest.fixture
def cloud(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    import httpx

    httpx.post(f"{moto_url}/moto-api/reset", timeout=30).raise_for_status()
    variables = {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Aws(moto_url, variables)

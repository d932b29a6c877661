import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from cortex.artifacts.patience import Patience
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import StoreError
from tests.artifacts.faulty import BUCKET, Fault, Proxy


@dataclass
class Given:
    """The answer that the server gives to every request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Answering(ThreadingHTTPServer):
    """A real HTTP server that is no bucket."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.given = Given()
        self.requests = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: one of the tests has a client speak TLS to this server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        server = cast(Answering, self.server)
        server.requests += 1
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(server.given.status)
        for name, value in server.given.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(server.given.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(server.given.body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    server = Answering()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}.items():
        monkeypatch.setenv(name, value)
    yield server
    server.shutdown()
    server.server_close()


def for_ever() -> RemoteStore:
    """A store with a stage's patience: it repeats requests without end after a passing error."""
    return RemoteStore(f"s3://{BUCKET}/kit", Patience(deadline=float("inf"), first=0.001, longest=0.01))


def code(name: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{name}</Code><Message>no</Message></Error>'.encode()


FINAL = {
    "wrong region": (Given(301, code("PermanentRedirect")), "in another region: set AWS_REGION"),
    "malformed": (Given(400, code("AuthorizationHeaderMalformed")), "in another region: set AWS_REGION"),
    "skewed": (Given(403, code("RequestTimeTooSkewed")), "clock is wrong"),
    "signature": (Given(403, code("SignatureDoesNotMatch")), "AWS_SECRET_ACCESS_KEY is not that of"),
    "denied": (Given(403, code("AccessDenied")), "may not use it"),
    "unknown key": (Given(403, code("InvalidAccessKeyId")), "renew them"),
    "no code": (Given(403), "renew them"),
    "unauthenticated": (Given(401), "renew them"),
    "no bucket": (Given(404, code("NoSuchBucket")), "no such bucket"),
    "bad name": (Given(400, code("InvalidBucketName")), "correct CORTEX_BUCKET"),
    "bad request": (Given(400, code("InvalidArgument")), "InvalidArgument"),
    "method": (Given(405, code("MethodNotAllowed")), "cannot do this"),
    "length": (Given(411, code("MissingContentLength")), "cannot do this"),
    "too large": (Given(413, code("EntityTooLarge")), "EntityTooLarge"),
    "not implemented": (Given(501, code("NotImplemented")), "cannot do this"),
    "full": (Given(507, code("XMinioStorageFull")), "no room left"),
    "proxy": (Given(407), "the proxy asks for a name and a password"),
}


@pytest.mark.parametrize("name", FINAL)
@pytest.mark.parametrize("call", ["list", "put"])
def test_an_answer_that_is_final_is_one_line_with_its_fix_at_once(answering: Answering, name: str, call: str) -> None:
    answering.given, fix = FINAL[name]
    store = for_ever()
    with pytest.raises(StoreError) as raised:
        store.list("runs") if call == "list" else store.put("runs/x", b"1")
    assert fix in str(raised.value) and "\n" not in str(raised.value)
    assert answering.requests <= 12  # a few attempts of the kit's, each with the client's own two


def test_a_file_too_large_for_one_answer_is_refused_as_fast(answering: Answering, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 9_000_000)
    answering.given = FINAL["not implemented"][0]
    with pytest.raises(StoreError, match="cannot do this"):
        for_ever().upload(tmp_path / "file", "runs/x")


@pytest.mark.parametrize(
    "given",
    [
        Given(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"}),
        Given(200, b'{"message": "hello"}', {"Content-Type": "application/json"}),
        Given(200, code("AccessDenied"), {"Content-Type": "application/xml"}),
        Given(200, b"", {"Content-Type": "text/plain"}),
        Given(200, b"<Empty/>"),
    ],
    ids=["login page", "JSON", "error", "nothing", "other XML"],
)
@pytest.mark.parametrize("call", ["list", "folders", "put"])
def test_what_is_no_bucket_is_never_an_empty_one(answering: Answering, given: Given, call: str) -> None:
    answering.given = given
    store = for_ever()
    calls = {"list": store.list, "folders": store.folders, "put": lambda: store.put("x", b"")}
    with pytest.raises(StoreError, match=r"no S3 server: look at AWS_ENDPOINT_URL|may not use it") as raised:
        calls[call]()
    assert "\n" not in str(raised.value) and answering.requests <= 12


def test_what_answered_is_shown(answering: Answering) -> None:
    answering.given = Given(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"})
    with pytest.raises(StoreError, match=r"no S3 listing but text/html, beginning '<html><body>Please log in"):
        for_ever().list()


@pytest.mark.parametrize("name", ["RequestTimeout", "SlowDown", "InternalError", "OperationAborted", ""])
def test_what_passes_is_asked_again_however_it_is_said(remote: RemoteStore, proxy: Proxy, name: str) -> None:
    remote.put("x", b"1")
    status = 400 if name == "RequestTimeout" else 503
    left = [Fault("status", status=status, code=name)] * 12
    proxy.plan = lambda _: left.pop() if left else None
    assert remote.get("x") == b"1"
    assert not left and remote.retries >= 4


def test_an_empty_bucket_is_empty(remote: RemoteStore) -> None:
    assert remote.list() == [] and remote.folders() == []


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("https://127.0.0.1:{port}", "it does not speak TLS: write http://"),
        ("http://no-such-host.invalid:{port}", "no host has this name"),
    ],
)
def test_an_address_that_can_never_answer_is_final(
    answering: Answering, monkeypatch: pytest.MonkeyPatch, url: str, fix: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url.format(port=answering.server_port))
    begun = time.monotonic()
    with pytest.raises(StoreError, match=fix):
        for_ever().get("x")
    assert time.monotonic() - begun < 60


def test_nothing_that_listens_is_waited_for_and_said(monkeypatch: pytest.MonkeyPatch, answering: Answering) -> None:
    assert answering
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = RemoteStore(f"s3://{BUCKET}", Patience(deadline=0.5, first=0.01))
    with pytest.raises(StoreError, match=r"Connection refused.*nothing listens there"):
        store.get("x")
    assert store.retries > 0

"""The teacher's HTTP client against services that no protocol describes: cut off, without trust, behind a proxy."""

import asyncio
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cortex.errors import StageError
from cortex.teaching.batch_client import BatchClient, BatchState
from cortex.teaching.bounded_http import BoundedHttp, HttpReply, NoReplyError
from cortex.teaching.chat import Endpoint
from cortex.teaching.teacher import ask

from .endpoint import PROMPTS, conversations

pytestmark = pytest.mark.integration


class Raw(HTTPServer):
    """A server that sends its bytes as they are to each request, and keeps the requests' first lines."""

    def __init__(self, reply: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                lines.append(self.requestline)
                self.wfile.write(reply)
                self.close_connection = True

            do_POST = do_GET  # noqa: N815 - the base class names them so

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Log nothing."""

        lines: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)
        self.lines = lines


@contextmanager
def sending(reply: bytes, certificate: Path | None = None) -> Iterator[Raw]:
    server = Raw(reply)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def get(url: str, seconds: float = 5.0) -> HttpReply:
    async def run() -> HttpReply:
        async with BoundedHttp(url, {}, seconds, {}) as http:
            return await http.send("GET", "/models")

    return asyncio.run(run())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that nobody has signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    alternative = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    path = tmp_path / "certificate.pem"
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, form, plain)
    )
    return path


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"choices": [', "cut off"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cho', "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: soon\r\n\r\n{}", "Content-Length"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP reply"),
        (b"", "disconnected"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "no HTTP reply"),
    ],
    ids=["cut off", "cut off in a chunk", "length", "ssh", "nothing", "headers"],
)
def test_half_a_reply_is_none_and_says_why_in_one_line(reply: bytes, said: str) -> None:
    with sending(reply) as server, pytest.raises(NoReplyError, match=f"(?i){said}") as raised:
        get(f"http://127.0.0.1:{server.server_port}/v1")
    assert raised.value.completion.kind == "failing"
    reason = raised.value.completion.reason
    assert "\n" not in reason and len(reason) < 250 and "400" not in reason


def test_headers_as_long_as_companies_proxies_send_them_are_read() -> None:
    with sending(b"HTTP/1.1 200 OK\r\nPolicy: " + b"x" * 30_000 + b"\r\nContent-Length: 2\r\n\r\n{}") as server:
        assert get(f"http://127.0.0.1:{server.server_port}/v1").body == b"{}"


def test_a_certificate_that_is_not_trusted_ends_the_stage_in_one_line(certificate: Path, tmp_path: Path) -> None:
    with sending(b"", certificate) as server:
        endpoint = Endpoint(f"https://localhost:{server.server_port}/v1", "none", "m", 4, 0.7, 64, patience_seconds=5)
        with pytest.raises(StageError, match=r"refuses: .*certificate.*0 of 40 answers are kept") as raised:
            ask(endpoint, conversations(PROMPTS), tmp_path / "answers.jsonl", lambda *_: None)
        assert "\n" not in str(raised.value) and server.lines == []
        with pytest.raises(StageError, match=r"refuses GET /batches/b: .*certificate") as raised:
            asyncio.run(state_of(endpoint))
        assert "\n" not in str(raised.value) and server.lines == []


async def state_of(endpoint: Endpoint) -> BatchState:
    async with BatchClient(endpoint) as client:
        return await client.state("b")


def test_batches_go_through_the_proxy_of_the_environment_and_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reply(name: str) -> bytes:
        body = b'{"id": "b", "status": "%s"}' % name.encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    with sending(reply("far")) as proxy, sending(reply("here")) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.server_port}")
        for url, status in (
            ("http://teacher.example/v1", "far"),
            (f"http://127.0.0.1:{server.server_port}/v1", "here"),
        ):
            assert asyncio.run(state_of(Endpoint(url, "none", "m", 4, 0.7, 64, patience_seconds=0))).status == status
        assert proxy.lines == ["GET http://teacher.example/v1/batches/b HTTP/1.1"]


def test_a_proxy_of_the_environment_is_used_and_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with sending(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as proxy:
        address = f"127.0.0.1:{proxy.server_port}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        monkeypatch.setenv("ALL_PROXY", address)
        assert get("http://teacher.example/v1").body == b"{}"
        monkeypatch.setenv("http_proxy", f"http://{address}")
        assert get("http://teacher.example:8000/v1").body == b"{}"
        assert proxy.lines == [
            "GET http://teacher.example/v1/models HTTP/1.1",
            "GET http://teacher.example:8000/v1/models HTTP/1.1",
        ]
        with sending(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere") as server:
            assert get(f"http://127.0.0.1:{server.server_port}/v1").body == b"here"
        monkeypatch.setenv("no_proxy", ".example")
        with pytest.raises(NoReplyError, match=r"teacher\.example"):
            get("http://teacher.example/v1")
        assert len(proxy.lines) == 2

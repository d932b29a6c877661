"""A real S3 server (`rclone serve s3`) and a proxy in front of it that fails on purpose.

The proxy adds what that server lacks of S3: it answers `If-None-Match: *` as the protocol says, and it sends a range
as 206. Everything else, good and bad, passes through.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

KEY, SECRET, BUCKET = "AKIDFORTESTS", "secret-for-tests", "bucket"


@dataclass(frozen=True)
class Request:
    """A request, as a plan of faults sees it."""

    method: str
    key: str
    query: str
    number: int
    """Number of requests before this one."""


@dataclass(frozen=True)
class Fault:
    """A fault of one request. `at` is the byte of the body where it happens."""

    kind: Literal["status", "reset", "truncate", "corrupt", "zero", "corrupt upload", "cut upload", "lose answer"]
    at: int = 0
    status: int = 503
    code: str = "SlowDown"


Plan = Callable[[Request], Fault | None]


def rclone() -> str | None:
    """The server's program: beside this interpreter, or on the path."""
    beside = Path(sys.executable).with_name("rclone")
    return str(beside) if beside.exists() else shutil.which("rclone")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """`rclone serve s3` over a folder, which can be killed and started again on its port."""

    root: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.root / BUCKET).mkdir(parents=True, exist_ok=True)
        program = rclone()
        assert program
        command = [program, "serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{KEY},{SECRET}"]
        environment = os.environ | {"RCLONE_CONFIG": os.devnull}
        self.process = subprocess.Popen(
            [*command, "--vfs-cache-mode", "off", str(self.root)], env=environment, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("rclone serve s3 does not listen")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Proxy(ThreadingHTTPServer):
    """Forwards requests to the server, except where the plan has a fault."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, server: Server, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.upstream = server
        self.plan: Plan = lambda _: None
        self.seen: list[Request] = []
        self.faults: list[tuple[Request, Fault]] = []
        self.sent: int = 0
        """Bytes of object bodies that went to the client."""
        self.lock = threading.Lock()
        self.creating = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore it: these tests kill clients and cut connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _forward(self) -> None:
        proxy = cast(Proxy, self.server)
        parts = urlsplit(self.path)
        with proxy.lock:
            request = Request(
                self.command, unquote(parts.path).removeprefix(f"/{BUCKET}/"), parts.query, len(proxy.seen)
            )
            proxy.seen.append(request)
        fault = proxy.plan(request)
        if fault:
            proxy.faults.append((request, fault))
        length = int(self.headers.get("Content-Length", 0))
        if fault and fault.kind == "cut upload" and length:
            self.rfile.read(min(fault.at, length))
            return self._cut()
        body = self.rfile.read(length)
        if fault and fault.kind == "status":
            return self._answer(fault.status, f"<Error><Code>{fault.code}</Code></Error>".encode())
        if fault and fault.kind == "corrupt upload" and body:
            body = _damaged(body, fault.at % len(body), 1)
        if self.headers.get("If-None-Match") == "*" and self.command == "PUT":
            with proxy.creating:
                if (proxy.upstream.root / BUCKET / request.key).exists():
                    return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return self._relay(proxy, body, fault)
        return self._relay(proxy, body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815

    def _relay(self, proxy: Proxy, body: bytes, fault: Fault | None) -> None:
        upstream = HTTPConnection("127.0.0.1", proxy.upstream.port, timeout=20)
        try:
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            data = answer.read()
        except OSError:
            return self._cut()
        finally:
            upstream.close()
        if fault and fault.kind == "lose answer":
            return self._cut()
        status = 206 if answer.getheader("Content-Range") else answer.status
        if fault and fault.kind in ("corrupt", "zero") and data:
            data = _damaged(data, fault.at % len(data), 1 if fault.kind == "corrupt" else 4096)
        self.send_response(status)
        for name, value in answer.getheaders():
            if name.lower() not in ("date", "server", "transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        size = answer.getheader("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command == "HEAD":
            return None
        if fault and fault.kind in ("reset", "truncate"):
            self.wfile.write(data[: fault.at % (len(data) + 1)])
            return self._cut(reset=fault.kind == "reset")
        self.wfile.write(data)
        with proxy.lock:
            proxy.sent += len(data)
        return None

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _cut(self, *, reset: bool = True) -> None:
        """End the connection: with a reset, or as if the answer were complete."""
        if reset:
            linger_for_nothing = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
        self.close_connection = True
        self.connection.close()


def _damaged(data: bytes, at: int, length: int) -> bytes:
    """One byte flipped, or a block of zeroes, from `at`."""
    block = bytes([data[at] ^ 0xFF]) if length == 1 else bytes(len(data[at : at + length]))
    return data[:at] + block + data[at + len(block) :]

"""Shared parts of the tests of notices: sources asked often, waits, and rubbish answers."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.metadata.metadata_source import Source
from cortex.runs.notice import Notice, Watch
from tests.runs.metadata_server import AwsServer, AzureServer, Breakage, GcpServer, MetadataServer

INTERVAL = 0.02


def sources(server: MetadataServer) -> list[Source]:
    """The sources of the server's own cloud, asked often."""
    match server:
        case AwsServer():
            endpoints = Endpoints(aws=server.url, gcp=None, azure=None)
        case GcpServer():
            endpoints = Endpoints(aws=None, gcp=server.url, azure=None)
        case _:
            endpoints = Endpoints(aws=None, gcp=None, azure=server.url)
    return often(endpoints)


def often(endpoints: Endpoints) -> list[Source]:
    found = endpoints.sources()
    for source in found:
        source.interval = INTERVAL
    return found


def wait(condition: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait until the condition is true, and return the seconds it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it did not come true"
        time.sleep(0.005)
    return time.monotonic() - begun


def noticed(watch: Watch) -> Notice:
    wait(lambda: watch.notice)
    assert watch.notice
    return watch.notice


def left(notice: Notice) -> float:
    return notice.deadline - time.monotonic()


def polled(server: MetadataServer, path: str, times: int = 3) -> None:
    """Wait until the server is asked for a path so many more times."""
    before = len([line for line in server.asked if path in line])
    wait(lambda: len([line for line in server.asked if path in line]) >= before + times)


def watching_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "notice"]


def writing(data: bytes) -> Breakage:
    def write(wire: BinaryIO) -> None:
        wire.write(data)

    return write


def never(wire: BinaryIO) -> None:
    """Answer after longer than anybody waits."""
    time.sleep(20)


def announce(server: MetadataServer) -> None:
    match server:
        case AwsServer():
            server.interrupt()
        case AzureServer():
            server.schedule("Preempt")
        case _:
            assert isinstance(server, GcpServer)
            server.set("preempted", "TRUE")


@contextmanager
def black_hole() -> Generator[str]:
    """An address that answers nothing at all: its queue of connections is full, so that the kernel drops the next."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 24\r\n\r\n<html>Sign in!</html>\r\n\r\n"


def answer(body: bytes, status: str = "200 OK", headers: str = "Metadata-Flavor: Google\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


RUBBISH = {
    "nothing at all": b"",
    "html": HTML,
    "an empty body": answer(b""),
    "500": answer(b"oops", "500 Internal Server Error"),
    "503": answer(b"", "503 Service Unavailable"),
    "403": answer(b"", "403 Forbidden"),
    "a redirect": answer(b"", "302 Found", "Location: http://127.0.0.1:9/\r\n"),
    "a huge body": answer(b'{"action": "terminate"}' + b" " * 1_000_000),
    "half of a body": answer(b"x" * 100)[:-50],
    "no HTTP": b"\x00\xff\xfe SSH-2.0-OpenSSH_9\r\n\r\n",
    "broken JSON": answer(b'{"action": "terminate", "ti'),
    "deep JSON": answer(b"[" * 60_000),
    "a malformed time": answer(b'{"action": "terminate", "time": "tomorrow"}'),
    "a time as a number": answer(b'{"action": "terminate", "time": 7}'),
    "an unknown action": answer(b'{"action": "dance"}'),
    "a malformed event": answer(b'{"Events": [{"EventType": "Preempt"}]}'),
    "an event at a malformed time": answer(
        b'{"Events": [{"EventType": "Preempt", "Resources": ["trainer_0"], "NotBefore": "soon"}]}'
    ),
    "another value": answer(b"MAYBE"),
    "bytes that are no text": answer(b"\xff\xfe\x00TRUE"),
}

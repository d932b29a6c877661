from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from obstore.exceptions import GenericError

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.bucket_client import connect
from cortex.artifacts.direct import CHUNK, Direct
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import PIECE
from cortex.errors import VerificationError
from tests.artifacts.conftest import hurried
from tests.artifacts.faulty import BUCKET, Fault, Proxy
from tests.artifacts.strategies import write

DATA = Random(9).randbytes(PIECE + 3 * CHUNK + 77)
KEY = "é ü/a+b.bin"


def chunks() -> Iterator[bytes]:
    return (DATA[at : at + CHUNK] for at in range(0, len(DATA), CHUNK))


def read(direct: Direct, start: int, length: int, key: str = KEY) -> bytes:
    return b"".join(bytes(chunk) for chunk in direct.read(key, start, length))


@pytest.fixture
def bucket(proxy: Proxy) -> Direct:
    assert proxy
    direct = Direct.to(connect(f"s3://{BUCKET}/kit"))
    assert direct
    return direct


def test_what_is_written_is_read_in_any_range(bucket: Direct) -> None:
    bucket.write(KEY, chunks(), len(DATA))
    assert read(bucket, 0, len(DATA)) == DATA
    assert read(bucket, CHUNK - 1, CHUNK + 2) == DATA[CHUNK - 1 : 2 * CHUNK + 1]
    assert read(bucket, len(DATA) - 5, 100) == DATA[-5:] and read(bucket, len(DATA), 100) == b""
    with pytest.raises(FileNotFoundError):
        read(bucket, 0, 1, "nothing")


def test_servers_that_send_a_range_as_200_are_understood(direct: RemoteStore, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(DATA)
    direct.upload(tmp_path / "big", KEY)
    direct.download(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == DATA


@pytest.mark.parametrize("kind", ["truncate", "reset"])
def test_a_body_that_ends_early_is_an_error(bucket: Direct, proxy: Proxy, kind: str) -> None:
    bucket.write(KEY, chunks(), len(DATA))
    proxy.plan = lambda _: Fault("truncate" if kind == "truncate" else "reset", at=CHUNK + 5)
    with pytest.raises(GenericError):
        read(bucket, 0, len(DATA))


def test_a_refusal_says_why(bucket: Direct, proxy: Proxy) -> None:
    proxy.plan = lambda _: Fault("status", status=403, code="ExpiredToken")
    with pytest.raises(GenericError, match=r"status code: 403(.|\n)*ExpiredToken"):
        bucket.write(KEY, chunks(), len(DATA))
    with pytest.raises(GenericError, match=r"status code: 403(.|\n)*ExpiredToken"):
        read(bucket, 0, 1)


def test_a_server_that_answers_with_another_range_is_refused(bucket: Direct, proxy: Proxy) -> None:
    proxy.plan = lambda _: Fault("status", status=200)
    with pytest.raises(GenericError, match="came whole"):
        read(bucket, 0, 10)


def test_a_bucket_that_redirects_is_asked_through_its_client(remote: RemoteStore, proxy: Proxy, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(DATA)
    proxy.plan = lambda request: Fault("status", status=307) if not request.number else None
    remote.upload(tmp_path / "big", KEY)
    assert any("uploads" in request.query for request in proxy.seen)
    reader = hurried()
    proxy.plan = lambda request: Fault("status", status=307) if "X-Amz-Signature" in request.query else None
    reader.download(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == DATA and reader.retries == 0


def test_settings_that_need_headers_leave_it_to_the_client(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy
    monkeypatch.setenv("AWS_SERVER_SIDE_ENCRYPTION", "AES256")
    assert Direct.to(connect(f"s3://{BUCKET}")) is None
    assert Direct.to(connect(f"gs://{BUCKET}")) is None


def test_behind_a_proxy_the_client_is_asked(bucket: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(GenericError, match="behind a proxy"):
        bucket.write(KEY, chunks(), len(DATA))


def test_large_bytes_always_damaged_on_the_way_up_are_never_published(
    remote: RemoteStore, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.plan = lambda request: Fault("corrupt upload", at=9) if request.key.endswith("big") else None
    with pytest.raises(VerificationError, match="reads back with other bytes"):
        publish(write(tmp_path / "made", {"big": DATA}), remote, "a", kind="model")
    assert find(remote, "a") is None

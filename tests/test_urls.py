from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError
from cortex.urls import read_bucket_url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://my.bucket-1/kit/runs/", "s3://my.bucket-1/kit/runs"),
        ("gs://my_bucket/kit", "gs://my_bucket/kit"),
        ("az://container/é", "az://container/é"),
        ("file:///data/a%20b", "/data/a b"),
        ("file://localhost/data", "/data"),
        ("file:/data", "/data"),
        ("file://~/runs", "/home/me/runs"),
        ("file://$HOME/runs", "/home/me/runs"),
        ("~/runs", "/home/me/runs"),
        ("runs:2026", "runs:2026"),
    ],
)
def test_a_place_is_read(written: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert read_bucket_url(written) == meant


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("s3://bucket/kit#1", "write 's3://bucket/kit'"),
        ("s3://bucket/kit?x=1", "write 's3://bucket/kit'"),
        ("s3:/bucket/kit", "begins with 's3:/': write s3://bucket/kit"),
        ("s3:bucket", "write s3://bucket"),
        ("s3:///bucket", "write s3://bucket"),
        ("S3://bucket", "write s3://bucket"),
        ("s3a://bucket", "write s3://bucket"),
        ("gcs://bucket", "write gs://bucket"),
        ("s3://", "names no bucket"),
        ("s3://Bucket_Upper/kit", "no bucket is named 'Bucket_Upper'"),
        ("s3://a..b", "no bucket is named 'a..b'"),
        ("s3://-bucket", "no bucket is named '-bucket'"),
        ("s3://my bucket", "no bucket is named 'my bucket'"),
        ("s3://id:secret@bucket/kit", "has a user or a port"),
        ("s3://bucket:9000/kit", "AWS_ENDPOINT_URL"),
        ("s3://bucket//kit", "write 's3://bucket/kit'"),
        ("s3://bucket/a/../kit", "write 's3://bucket/a/kit'"),
        ("s3://bucket/./kit", "write 's3://bucket/kit'"),
        ("s3://bucket/kit ", "ends with a blank: write 's3://bucket/kit'"),
        ("s3://bucket/kit\n", "ends with a blank"),
        ("s3://bucket/a%20b", "holds '%'"),
        ("s3://bucket/~/kit", "holds '~'"),
        ("s3://bucket/a\tb", "holds '\\t'"),
        ("s3://bucket/" + "x" * 600, "too long"),
        ("http://minio:9000/bucket", "goes into AWS_ENDPOINT_URL"),
        ("ftp://bucket", "unknown scheme"),
        ("file://host/data", "names no folder of this machine"),
        ("file:data", "names no folder of this machine"),
        ("file:///data?x=1", "write %3F"),
        ("$NOT_SET/runs", "which is not set"),
        ("", "is no path"),
    ],
)
def test_what_is_no_place_is_refused_with_the_fix(
    written: str, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        open_store(written)
    assert fault in str(raised.value) and "secret" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []

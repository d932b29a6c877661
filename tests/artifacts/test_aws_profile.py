from pathlib import Path

import pytest

from cortex.artifacts.remote_store import RemoteStore
from cortex.errors import ConfigError
from tests.artifacts.conftest import hurried
from tests.artifacts.faulty import KEY, SECRET, Server

pytest.importorskip("boto3", reason="boto3 is not installed")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AWS configuration of this test's own, and no AWS variables in the environment."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ENDPOINT_URL", "ENDPOINT_URL_S3", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    (tmp_path / "credentials").write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    return tmp_path / "config"


@pytest.mark.parametrize(
    "text",
    [
        "[default]\nregion = us-east-1\nendpoint_url = {url}\n",
        "[default]\nregion = us-east-1\nservices = mine\nendpoint_url = http://127.0.0.1:9\n"
        "[services mine]\ns3 =\n  endpoint_url = {url}\n",
        "[default]\nregion = us-east-1\n[profile other]\nregion = us-east-1\nendpoint_url = {url}\n",
    ],
    ids=["endpoint_url", "services", "AWS_PROFILE"],
)
@pytest.mark.parametrize("keys", ["in the profile", "in the environment"])
def test_a_profile_s_address_is_the_bucket_s(
    config: Path, server: Server, monkeypatch: pytest.MonkeyPatch, text: str, keys: str
) -> None:
    config.write_text(text.format(url=f"http://127.0.0.1:{server.port}"), encoding="utf-8")
    if "profile other" in text:
        monkeypatch.setenv("AWS_PROFILE", "other")
        credentials = config.with_name("credentials")
        credentials.write_text(credentials.read_text().replace("default", "other"))
    if keys == "in the environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    hurried().put("x", b"1")
    assert (server.root / "bucket/kit/x").read_bytes() == b"1"


def test_the_environment_comes_before_the_profile(
    config: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("[default]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:9\n", encoding="utf-8")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
    hurried().put("x", b"1")
    assert (server.root / "bucket/kit/x").is_file()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[default]\nendpoint_url = minio:9000\n", "endpoint_url is 'minio:9000': .*write http://minio:9000"),
        ("[default]\nregion = us east\n", "is no region's name|Provided region_name"),
        ("[default\n", "Unable to parse config file"),
    ],
)
def test_a_profile_that_cannot_be_used_is_named(config: Path, text: str, fault: str) -> None:
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"AWS profile 'default' cannot be used: .*({fault}).*mend it in"):
        RemoteStore("s3://bucket")


def test_a_profile_that_is_not_there_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("[default]\n", encoding="utf-8")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigError, match=r"AWS profile 'nobody' cannot be used: .*could not be found"):
        RemoteStore("s3://bucket")


def test_a_profile_s_key_that_cannot_be_sent_is_refused_and_not_shown(config: Path) -> None:
    config.write_text("[default]\n", encoding="utf-8")
    credentials = config.with_name("credentials")
    credentials.write_text("[default]\naws_access_key_id = \u201chidden\u201d\naws_secret_access_key = b\n")
    with pytest.raises(ConfigError, match="its key's id holds") as raised:
        RemoteStore("s3://bucket")
    assert "hidden" not in str(raised.value)

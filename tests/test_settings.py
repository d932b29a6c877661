import datetime as dt
import importlib.util
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cortex.errors import ConfigError
from cortex.settings import Settings
from cortex.variables.client_settings import CERTIFICATE_FILES, CERTIFICATES


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    unset = Settings()
    for name in ("CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "CORTEX_BUCKET", "CORTEX_HOME"):
        monkeypatch.setenv(name, "")
    assert Settings() == unset
    assert unset.teacher_api_key.get_secret_value() and unset.flipside_api_key is None


@pytest.mark.parametrize(
    ("text", "regions"),
    [
        ("us-east-1", ("us-east-1",)),
        ("us-east-1, us-west-2", ("us-east-1", "us-west-2")),
        ("", ()),
    ],
)
def test_regions_are_a_list(text: str, regions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_NETWORK_REGIONS", text)
    settings = Settings()
    assert settings.network_regions == regions and settings.server_region == (regions[0] if regions else None)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CORTEX_PREFLIGHT_SECONDS", "soon", "should be a valid number"),
        ("CORTEX_PREFLIGHT_SECONDS", "0", "should be greater than 0"),
        ("CORTEX_CONTAINER_MEMORY", "lots", "should match pattern"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    name: str, value: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name} is '{value}': .*{fault}"):
        Settings()


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CORTEX_HOME", "$NOT_SET/kit", r"\$NOT_SET, which is not set"),
        ("CORTEX_HOME", "/dev/null/kit", "/dev/null is no folder"),
        ("CORTEX_SSH_CONFIG", "/no/such/file", "there is no such file"),
        ("CORTEX_TEACHER_URL", "api.example.com/v1", "write http://api.example.com/v1"),
        ("CORTEX_TEACHER_URL", "https:/api.example.com", "write http://api.example.com"),
        ("CORTEX_TEACHER_URL", "http://127.0.0.1:87650/v1", "out of range 0-65535"),
        ("CORTEX_TEACHER_URL", "http://127.0.0.1:0/v1", "from 1 to 65535"),
        ("CORTEX_TEACHER_URL", "http://127.0.0.1:/v1", "from 1 to 65535"),
        ("CORTEX_TEACHER_URL", " http://api.example.com", "holds ' '"),
        ("CORTEX_TEACHER_URL", "\u201chttp://api.example.com\u201d", "holds '\u201c'"),
        ("CORTEX_TEACHER_URL", "http://", "names no host"),
        ("CORTEX_TEACHER_URL", "http://999.1.1.1/", "names no host"),
        ("CORTEX_TEACHER_URL", "http://[::1/v1", "names no host"),
        ("CORTEX_TEACHER_URL", "http://[::1]host/v1", "names no host"),
        ("CORTEX_TEACHER_URL", "http://me:secret@api.example.com", "a user's name before an @"),
        ("CORTEX_REGISTRY", "https://ghcr.io/me", "without https://"),
        ("CORTEX_NETWORK_REGIONS", "us-east-1,us-east", "should match pattern"),
        ("CORTEX_NETWORK_REGIONS", "us-east-1,", "should match pattern"),
        ("CORTEX_NETWORK_REGIONS", "us-east-1,us-west-2,us-east-1", "names us-east-1 twice"),
        ("CORTEX_BASE_IMAGE", "debian 12", "holds ' '"),
        ("HTTPS_PROXY", "socks9://127.0.0.1:1", "names no kind of proxy"),
        ("http_proxy", "http://127.0.0.1:99999", "out of range"),
        ("ALL_PROXY", "http://", "names no host"),
        ("HTTP_PROXY", "proxy[::1]", "names no host"),
        ("NO_PROXY", "localhost,[::1]", r"'\[::1\]' cannot be read"),
        ("NO_PROXY", "fd00::/8", "'fd00::/8' cannot be read"),
        ("NO_PROXY", "a\x7f", "cannot be read"),
        ("NO_PROXY", ":http", "':http' cannot be read: write hosts such as"),
        ("no_proxy", "localhost,host:port", "'host:port' cannot be read"),
        ("NO_PROXY", "host:65536", "cannot be read"),
        ("NO_PROXY", "host/path", "cannot be read"),
        ("NO_PROXY", "10.0.0.0/33", "cannot be read"),
        ("NO_PROXY", "http://", "cannot be read"),
        ("NO_PROXY", "fe80::1%eth0#", "cannot be read"),
        ("NO_PROXY", "xn--mnchen-3ya.de", "cannot be read"),
        ("CORTEX_TEACHER_URL", "http://xn--999999999/v1", "names no host"),
        ("SSL_CERT_FILE", "/no/such/file", "cannot be read"),
        ("SSL_CERT_FILE", "/etc/hostname", "holds no certificates"),
        ("SSL_CERT_FILE", "/etc", "Is a directory.*name a file"),
        ("AWS_CA_BUNDLE", "/etc", "Is a directory.*name a file"),
        ("SSL_CERT_DIR", "/no/such/folder", "is no folder"),
        ("REQUESTS_CA_BUNDLE", "/no/such/file", "cannot be read"),
        ("CURL_CA_BUNDLE", "/no/such/file", "cannot be read"),
        ("AWS_CA_BUNDLE", "/no/such/file", "cannot be read"),
        ("HF_ENDPOINT", "hub.example.com", "write http://hub.example.com"),
    ],
)
def test_a_setting_that_cannot_serve_is_refused_with_its_name(
    name: str, value: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^{name} .*{fault}") as raised:
        Settings()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["CORTEX_TEACHER_API_KEY", "CORTEX_FLIPSIDE_API_KEY", "HF_TOKEN"])
@pytest.mark.parametrize("key", ["\u201chidden-key\u201d", "hidden-key\n", "hidden key", "hidden-kéy", "'hidden-key'"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    name: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, key)
    with pytest.raises(ConfigError, match=rf"^{name} holds .* \(character \d+ of \d+\).*copy the key anew") as raised:
        Settings()
    assert "hidden" not in str(raised.value)


@pytest.mark.skipif(importlib.util.find_spec("socksio") is not None, reason="expected: SOCKS is supported here")
def test_a_runs_secret_that_was_cut_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_RUN_SECRET", "hush" * 7)
    with pytest.raises(ConfigError, match=r"^CORTEX_RUN_SECRET has fewer than 32 characters: copy it whole") as caught:
        Settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
def test_a_proxy_without_its_support_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(ConfigError, match=f"^{name} is .*support is not installed: name an http:// proxy") as raised:
        Settings()
    assert "secret" not in str(raised.value)


def certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def test_a_file_of_certificates_is_parsed_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    class Counting(ssl.SSLContext):
        def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
            parsed.append(cafile)
            super().load_verify_locations(cafile, capath, cadata)

    monkeypatch.setattr("cortex.variables.client_settings.ssl.SSLContext", Counting)
    file = tmp_path / "ca.pem"
    file.write_bytes(certificate())
    for name in (*CERTIFICATE_FILES, *CERTIFICATES):
        monkeypatch.setenv(name, str(file))
    Settings()
    Settings()
    assert parsed == [str(file)]
    file.write_text("no longer one")
    for _ in range(2):
        with pytest.raises(ConfigError, match="holds no certificates"):
            Settings()
    file.write_bytes(certificate())
    Settings()


def test_settings_that_serve_are_taken_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").write_bytes(certificate())
    given = {
        "HTTP_PROXY": "proxy.example.com:3128",
        "HTTPS_PROXY": "http://me:pass@proxy.example.com:3128",
        "NO_PROXY": "localhost,127.0.0.0/8,::1,.example.com,host:80,*.internal,a.b.,http://c:80, ,*",
        "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
        "SSL_CERT_DIR": f"{tmp_path}:/",
        "REQUESTS_CA_BUNDLE": str(tmp_path),
        "CORTEX_TEACHER_URL": "https://[::1]:8443/v1",
        "CORTEX_TEACHER_API_KEY": "sk-or-v1_a.b/c+d=",
        "CORTEX_REGISTRY": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/cortex",
        "AWS_ENDPOINT_URL": "",
        "ALL_PROXY": " ",
    }
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    read = Settings()
    assert (read.teacher_url, read.registry) == (given["CORTEX_TEACHER_URL"], given["CORTEX_REGISTRY"])
    # Libraries take an empty variable as an address or a file name.
    assert "AWS_ENDPOINT_URL" not in os.environ and "ALL_PROXY" not in os.environ


def test_home_folders_and_variables_stand_in_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("")
    given = {
        "HOME": str(tmp_path),
        "CORTEX_HOME": "~/kit",
        "CORTEX_BUCKET": "$HOME/runs",
        "CORTEX_SSH_CONFIG": "${HOME}/config",
    }
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    read = Settings()
    assert (read.home, read.bucket_url, read.ssh_config) == (
        tmp_path / "kit",
        f"{tmp_path}/runs",
        tmp_path / "config",
    )

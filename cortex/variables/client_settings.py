"""Checks of the variables that other libraries read: proxies, certificates, keys and addresses.

The libraries themselves handle a wrong value badly: the bucket's client ends the process, httpx blames an import, and
others wait for a minute and then blame the network. All checks raise ValueError, with the variable's name and the fix.
"""

import functools
import importlib.util
import re
import ssl
from collections.abc import Callable, Mapping, MutableMapping
from ipaddress import IPv4Network
from pathlib import Path

from cortex.urls import check_http_url, is_host

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CERTIFICATE_FILES = ("SSL_CERT_FILE", "AWS_CA_BUNDLE")
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""A file, or a folder of files."""
KEYS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_TOKEN")
ADDRESSES = ("HF_ENDPOINT", "WANDB_BASE_URL")

BUCKET_VARIABLES = {"s3": ("AWS_",), "gs": ("GOOGLE_",), "az": ("AZURE_",)}
"""The prefix of the variables that the client of each kind of bucket reads."""

_BUCKET_ADDRESS = re.compile(
    r"AWS_ENDPOINT(_URL(_[A-Z0-9_]+)?)?|AWS_METADATA_ENDPOINT|(AZURE|GOOGLE)_\w*(ENDPOINT|BASE_URL)"
)
_BUCKET_KEY = re.compile(
    r"AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|(SESSION_|SECURITY_)?TOKEN)|AZURE_\w*(KEY|SECRET|TOKEN|ACCOUNT_NAME)"
)
_BUCKET_FILE = re.compile(r"GOOGLE_(APPLICATION_CREDENTIALS|SERVICE_ACCOUNT(_PATH)?)|AZURE_FEDERATED_TOKEN_FILE")
_REGION = re.compile(r"(?!\d+$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

_UNFIT_IN_KEY = re.compile(r"[^!-~]|[\"'`]")


def drop_empty(environment: MutableMapping[str, str]) -> None:
    """Remove those of these variables that are empty: the bucket's client would read them as a file or an address."""
    ours = tuple(name for names in BUCKET_VARIABLES.values() for name in names)
    for name in [name for name, value in environment.items() if not value.strip()]:
        if name.startswith(ours) or name.upper() in (*PROXIES, *CERTIFICATE_FILES, *CERTIFICATES, "SSL_CERT_DIR"):
            del environment[name]


def check_key(text: str) -> None:
    """Return if a text can be sent as a key. The error shows one of its characters at most, since keys are secret."""
    unfit = _UNFIT_IN_KEY.search(text)
    if unfit:
        raise ValueError(
            f"holds {unfit[0]!r} (character {unfit.start() + 1} of {len(text)}), which no key has: copy the key anew, "
            "without quotes, blanks or a line's end"
        )


def check_network(environment: Mapping[str, str]) -> None:
    """Check the variables that all network clients read: proxies, certificates, and keys of hubs and trackers."""
    for name, value in environment.items():
        if not value:
            continue
        if name.upper() in PROXIES:
            _explain(name, value, _check_proxy)
        elif name.upper() == "NO_PROXY":
            _explain(name, value, _check_no_proxy)
        elif name in CERTIFICATE_FILES or (name in CERTIFICATES and not Path(value).is_dir()):
            _explain(name, value, _check_certificates)
        elif name == "SSL_CERT_DIR":
            _explain(name, value, _check_certificate_folders)
        elif name in KEYS:
            _explain_secret(name, value, check_key)
        elif name in ADDRESSES:
            _explain(name, value, check_http_url)


def check_bucket_client(scheme: str, environment: Mapping[str, str]) -> None:
    """Check the variables that the client of a kind of bucket reads."""
    for name, value in environment.items():
        if not name.startswith(BUCKET_VARIABLES[scheme]) or not value:
            continue
        if _BUCKET_KEY.fullmatch(name):
            _explain_secret(name, value, check_key)
        elif _BUCKET_ADDRESS.fullmatch(name):
            _explain(name, value, check_http_url)
        elif _BUCKET_FILE.fullmatch(name):
            _explain(name, value, _check_file)
        elif name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            _explain(name, value, check_region)
        elif name != "GOOGLE_SERVICE_ACCOUNT_KEY":  # a JSON text, which may have several lines
            _explain(name, value, _check_plain)


def check_region(value: str) -> None:
    """Return if the value can be a region's name."""
    if not _REGION.fullmatch(value):
        raise ValueError("is no region's name: write one like us-east-1")


def _explain(name: str, value: str, check: Callable[[str], object]) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{name} is {_without_password(value)!r}: {error}") from error


def _explain_secret(name: str, value: str, check: Callable[[str], object]) -> None:
    """As `_explain`, for a value that must not be shown."""
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error


def _without_password(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//...@", value)[:200]


def _check_proxy(value: str) -> None:
    address = value if "://" in value else f"http://{value}"
    scheme, _, rest = address.partition("://")
    if scheme.lower() not in ("http", "https", "socks4", "socks4a", "socks5", "socks5h"):
        raise ValueError("names no kind of proxy that is known: write http://host:port, or unset it")
    check_http_url(f"http://{rest.rpartition('@')[2]}")
    if scheme.lower().startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ValueError("names a SOCKS proxy, for which support is not installed: name an http:// proxy, or unset it")
    if scheme.lower() in ("socks4", "socks4a"):
        raise ValueError("names a SOCKS4 proxy, which is not supported: use socks5:// or http://")


def _check_no_proxy(value: str) -> None:
    for entry in (part.strip() for part in value.split(",")):
        if entry not in ("", "*") and not _is_exempt_host(entry):
            raise ValueError(
                f"{entry!r} cannot be read: write hosts such as .example.com or host:80, networks such as 10.0.0.0/8, "
                "and IPv6 addresses alone, such as ::1"
            )


def _is_exempt_host(entry: str) -> bool:
    """Tell if every client can read this entry of NO_PROXY.

    The clients parse an entry as an address, some after putting a `*` before it, which makes a name in punycode
    (`xn--`) invalid.
    """
    try:
        if entry.count(":") > 1 and "://" not in entry:
            return is_host(entry, bracketed=True)
        if "/" in entry and "://" not in entry:
            IPv4Network(entry, strict=False)
        else:
            check_http_url(entry if "://" in entry else f"http://{entry.removeprefix('*').removeprefix('.')}")
    except ValueError:
        return False
    return "xn--" not in entry.lower()


def _check_certificates(value: str) -> None:
    _check_file(value)
    status = Path(value).stat()
    _parse_certificates(value, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@functools.lru_cache
def _parse_certificates(path: str, _version: tuple[int, ...]) -> None:
    """Parse a file once per version: the system's takes 20 ms, and often four variables name it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ValueError("holds no certificates in PEM: name a file of certificates, or unset it") from error


def _check_certificate_folders(value: str) -> None:
    for folder in value.split(":"):
        if not Path(folder).is_dir():
            raise ValueError(f"{folder!r} is no folder: name a folder of certificates, or unset it")


def _check_file(value: str) -> None:
    try:
        with Path(value).open("rb"):
            return
    except OSError as error:
        raise ValueError(f"it cannot be read ({error.strerror}): name a file that is there, or unset it") from error


def _check_plain(value: str) -> None:
    unfit = re.search(r"[^ -~]", value)
    if unfit:
        raise ValueError(f"holds {unfit[0]!r}, which a request cannot carry: write it anew")

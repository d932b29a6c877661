"""Checks of addresses that users write: of HTTP services, and of the bucket or folder of runs.

The libraries that use these addresses say too little about a wrong one, wait for a minute, or end the process.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cortex.paths import expand

BUCKET_SCHEMES = ("s3", "gs", "az")

_UNFIT = re.compile(r"[^!-~]|[\"'<>\\^`{|}]")
"""Characters that an address cannot hold: blanks, control characters, quotes, letters beyond ASCII."""

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<slashes>/*)")

_MISSPELT = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az", "azure": "az", "file": "file"}

_BUCKETS = {
    "s3": re.compile(r"(?!.*\.\.)[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"),
    "gs": re.compile(r"(?!.*\.\.)[a-z0-9]([a-z0-9._-]{0,220}[a-z0-9])?"),
    "az": re.compile(r"(?!.*--)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"),
}
"""Names of buckets. Sources: "General purpose bucket naming rules" of Amazon S3, "Bucket names" of Google Cloud
Storage, "Naming containers" of Azure."""

_PREFIX_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\{}^%`\[\]\"~<>#|*?]")
"""Characters that the bucket's client escapes in keys, so that other tools would not find the objects."""

LONGEST_PREFIX = 500
"""Most bytes of a prefix. A key has at most 1,024, and the run's own names need the rest."""


def is_loopback(url: str) -> bool:
    """Tell if an address is on this machine, so that nobody else can read the traffic."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lays_keys_open(url: str) -> bool:
    """Tell if a key sent there could be read on the way: plain HTTP to another machine."""
    return urlsplit(url).scheme.lower() != "https" and not is_loopback(url)


def check_http_url(text: str) -> str:
    """Return the address if it can be that of an HTTP service.

    Raises:
        ValueError: it cannot; the message says what to write.
    """
    shown = text if len(text) <= 100 else text[:100] + "..."
    unfit = _UNFIT.search(text)
    if unfit:
        raise ValueError(f"holds {unfit[0]!r}, which no address can: write http://host:port")
    found = _SCHEME.match(text)
    if not found or found["scheme"].lower() not in ("http", "https") or found["slashes"] != "//":
        rest = text[found.end() :] if found and found["slashes"] else text
        raise ValueError(f"does not begin with http:// or https://: write http://{rest or 'host:port'}")
    try:
        parts = urlsplit(text)
    except ValueError as error:  # misplaced brackets: some Pythons raise, others return an invalid host
        raise ValueError(f"{shown!r} names no host: write http://host:port") from error
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"cannot be read ({error}): write http://host:port, the port from 1 to 65535") from error
    if "@" in parts.netloc:
        raise ValueError("holds a user's name before an @, which would be shown in messages: leave it out")
    bracketed = "[" in parts.netloc
    if not is_host(host, bracketed=bracketed) or (bracketed and not re.fullmatch(r"\[[^]]*\](:\d*)?", parts.netloc)):
        raise ValueError(f"{shown!r} names no host: write http://host:port")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("has no port after the colon that one could connect to: write one from 1 to 65535")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("ends in a query or a fragment: leave out what stands from ? or # on")
    if re.search(r"%(?![0-9A-Fa-f]{2})", parts.path):
        raise ValueError("holds a % that two hexadecimal digits do not follow: write %25")
    return text


def is_host(host: str, *, bracketed: bool = False) -> bool:
    """Tell if the text is a host's name or address."""
    try:
        if bracketed:
            IPv6Address(host)
            return "%" not in host
        last = host.removesuffix(".").rpartition(".")[2]
        if re.fullmatch(r"\d+|0[xX][0-9a-fA-F]*", last):  # URL parsers take such a host for an IPv4 address
            IPv4Address(host)
            return True
    except AddressValueError:
        return False
    if "xn--" in host.lower() and not _is_punycode(host):
        return False
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_punycode(host: str) -> bool:
    import idna  # comes with the clients that would decode the name

    try:
        idna.decode(host)
    except UnicodeError:
        return False
    return True


def read_bucket_url(text: str) -> str:
    """The place of runs in its normal form: a folder's path, `~` and variables replaced; or `s3://bucket/prefix`.

    Raises:
        ValueError: the text is neither; the message says what to write.
    """
    if text != text.strip():
        raise ValueError(f"store {text!r} begins or ends with a blank: write {text.strip()!r}")
    found = _SCHEME.match(text)
    meant = _MISSPELT.get(found["scheme"].lower()) if found else None
    if found is None or (meant is None and found["slashes"] != "//"):
        return _folder(text, text)  # a folder's name may hold a colon
    if meant is None:
        hint = "; an S3 server's own address goes into AWS_ENDPOINT_URL" if found["scheme"].startswith("http") else ""
        raise ValueError(f"store {text!r} has an unknown scheme: give a folder, s3://, gs:// or az://{hint}")
    rest = text[found.end() :]
    if meant == "file":
        return _folder_of_url(text, found["slashes"], rest)
    if found["scheme"] != meant or found["slashes"] != "//":
        raise ValueError(f"store {text!r} begins with {found[0]!r}: write {meant}://{rest or 'bucket/prefix'}")
    return _bucket(text, meant, rest)


def _folder(text: str, path: str) -> str:
    try:
        return expand(path)
    except ValueError as error:
        raise ValueError(f"store {text!r}: {error}") from error


def _folder_of_url(text: str, slashes: str, rest: str) -> str:
    if slashes == "//" and rest.startswith(("~", "$")):
        path = _folder(text, rest)
    else:
        host, slash, below = rest.partition("/") if slashes == "//" else ("", "/", rest)
        if host not in ("", "localhost") or not slash or not slashes:
            raise ValueError(f"store {text!r} names no folder of this machine: write file:///folder")
        path = f"/{below}"
    if "?" in path or "#" in path:
        raise ValueError(f"store {text!r} ends in a query or a fragment: write %3F for ? and %23 for #")
    return _folder(text, unquote(path))


def _bucket(text: str, scheme: str, rest: str) -> str:
    name, _, prefix = rest.partition("/")
    if not name:
        raise ValueError(f"store {text!r} names no bucket: write {scheme}://bucket/prefix")
    prefix = prefix.rstrip("/")
    if "@" in name or ":" in name:
        raise ValueError(
            f"store with bucket {name.rpartition('@')[2]!r} has a user or a port: write {scheme}://bucket/prefix; keys "
            "and the server's address go into variables of their own, such as AWS_ENDPOINT_URL"
        )
    for sign in "?#":
        if sign in rest:
            raise ValueError(f"store {text!r} ends in a query or a fragment: write {text.partition(sign)[0]!r}")
    if not _BUCKETS[scheme].fullmatch(name):
        raise ValueError(f"store {text!r}: no bucket is named {name!r}: write lower-case letters, digits and hyphens")
    unfit = _PREFIX_UNFIT.search(prefix)
    if unfit:
        raise ValueError(f"store {text!r} holds {unfit[0]!r}: leave it out of the prefix")
    segments = prefix.split("/") if prefix else []
    if any(not part or part in (".", "..") or part != part.strip() for part in segments):
        kept = "/".join(part.strip() for part in segments if part.strip() not in ("", ".", ".."))
        raise ValueError(f"store {text!r} has an empty or a relative part: write {f'{scheme}://{name}/{kept}'!r}")
    if len(prefix.encode(errors="replace")) > LONGEST_PREFIX or not _is_text(prefix):
        raise ValueError(f"store {text[:80]!r}... has a prefix that is too long or no text: choose another")
    return f"{scheme}://{name}/{prefix}" if prefix else f"{scheme}://{name}"


def _is_text(prefix: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in prefix)


def folder_of(url: str) -> Path | None:
    """The folder that a place from `read_bucket_url` is; None for a bucket."""
    return None if url.partition("://")[0] in BUCKET_SCHEMES else Path(url)

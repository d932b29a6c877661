"""The client of a metadata service over plain HTTP: no proxy, no redirect, and a time limit on every request."""

import socket
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from cortex.errors import ConfigError
from cortex.limits import METADATA_BYTES


class MetadataError(Exception):
    """A metadata service gave no usable answer. All failures of one kind have the same message."""


class AbsentError(MetadataError):
    """Nothing accepts connections at the service's address."""


class SilentError(MetadataError):
    """The service accepted a connection, but the whole answer did not come in time."""


@dataclass(frozen=True)
class Answer:
    """A metadata service's answer."""

    status: int
    headers: Mapping[str, str]
    """The headers, with names in lower case."""
    text: str
    time: datetime
    """The time by the service's clock; by this machine's if the service does not give it."""

    @property
    def may_pass(self) -> bool:
        """True for a temporary failure, which does not tell what kind of service answered."""
        return self.status == 429 or self.status >= 500


class Service:
    """A metadata service. One thread makes requests; only `interrupt` may be called from another."""

    def __init__(self, name: str, endpoint: str) -> None:
        """`endpoint` is an address such as `http://169.254.169.254`. Raises ConfigError if it is invalid."""
        self._name = f"the metadata service of {name}"
        self._host, self._port, self._base = _address(self._name, endpoint)
        self._socket: socket.socket | None = None
        self._interrupted = False

    def request(self, path: str, headers: Mapping[str, str], *, method: str = "GET", timeout: float) -> Answer:
        """Make a request, with `timeout` seconds for the whole answer. Raises MetadataError, or a subclass of it."""
        with closing(_Connection(self._host, self._port, time.monotonic() + timeout)) as connection:
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                raise AbsentError(f"{self._name} takes no connection") from error
            self._socket = connection.sock
            # Read after the assignment, so that an interrupt at this moment is noticed by one thread or the other.
            if self._interrupted:
                raise MetadataError(f"{self._name} was not waited for")
            try:
                connection.request(method, self._base + path, headers=dict(headers))
                with connection.getresponse() as response:
                    body = response.read(METADATA_BYTES + 1)
            except TimeoutError as error:
                raise SilentError(f"{self._name} took a connection and did not answer in {timeout:g} s") from error
            except (OSError, HTTPException) as error:
                raise MetadataError(f"{self._name} did not answer in HTTP ({type(error).__name__})") from error
        if len(body) > METADATA_BYTES:
            raise MetadataError(f"{self._name} sent more than {METADATA_BYTES:,} bytes")
        received = {name.lower(): value for name, value in response.getheaders()}
        moment = datetime.now(UTC)
        with suppress(ValueError):
            moment = parse_date(received.get("date", ""))
        return Answer(response.status, received, body.decode(errors="replace"), moment)

    def error(self, what: str) -> MetadataError:
        """The error for an answer that cannot be used, for the caller to raise."""
        return MetadataError(f"{self._name} {what}")

    def interrupt(self) -> None:
        """Break off the current request and all later ones."""
        self._interrupted = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def parse_date(text: str) -> datetime:
    """The time of an HTTP date (RFC 1123), such as `Mon, 19 Sep 2016 18:29:47 GMT`. Raises ValueError."""
    try:
        return in_some_zone(parsedate_to_datetime(text))
    except (OverflowError, IndexError) as error:
        raise ValueError(f"not a date: {text[:40]!r}") from error


def in_some_zone(moment: datetime) -> datetime:
    """The time with its zone; without one it is UTC, on every cloud."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _address(name: str, endpoint: str) -> tuple[str, int, str]:
    with suppress(ValueError):
        url = urlsplit(endpoint)
        if url.scheme == "http" and url.hostname:
            return url.hostname, url.port or 80, url.path.rstrip("/")
    raise ConfigError(f"{name} cannot be at {endpoint!r}: give an address such as http://169.254.169.254")


class _Connection(HTTPConnection):
    """A connection with one deadline: the library's own timeout starts anew with every byte."""

    def __init__(self, host: str, port: int, end: float) -> None:
        super().__init__(host, port)
        self._end = end

    def connect(self) -> None:
        opened = socket.create_connection((self.host, self.port), timeout=_left(self._end))
        self.sock = _Socket(self._end, fileno=opened.detach())


class _Socket(socket.socket):
    def __init__(self, end: float, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self._end = end
        self.settimeout(_left(end))

    def recv_into(self, *args: Any, **options: Any) -> int:
        self.settimeout(_left(self._end))
        return super().recv_into(*args, **options)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for this question is over")
    return left

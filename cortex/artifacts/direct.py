"""Transfers of large S3 objects by the standard library's HTTP client, over URLs that the bucket's client signs.

The bucket's client copies every byte into new memory, and hashes what it sends once more to sign it. The standard
library does neither, which halves the time of a transfer that the processor limits (`docs/measurements.md`).
"""

import os
import ssl
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from mmap import mmap
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import obstore
from obstore.exceptions import GenericError
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK = 1024 * 1024
"""Bytes per read: the size that took the least time in measurements."""

TIMEOUT = 30.0
"""Seconds without a byte after which a connection is closed."""

BEGINNING = 2000
"""Bytes of an answer that are read to recognize a listing."""

SIGNED_FOR = timedelta(minutes=15)

ANY_KEY = "runs/.now"
"""The object that is requested for the server's time. It need not exist: a 404 has a `Date` header, too."""

CLIENT_ONLY = ("AWS_SERVER_SIDE_ENCRYPTION", "AWS_SSE_", "AWS_REQUEST_PAYER", "AWS_SKIP_SIGNATURE", "AWS_CHECKSUM_")
"""Settings that the client turns into headers, which a signed URL does not carry."""


class NotDirectError(GenericError):
    """The bucket's client is needed: for a proxy, a redirection, or a certificate that it alone trusts."""


class Direct:
    """Reads and writes objects of one bucket. It raises the client's kinds of errors, with the status in them."""

    def __init__(self, objects: S3Store) -> None:
        self._objects = objects
        self._context: ssl.SSLContext | None = None

    @staticmethod
    def to(objects: "ObjectStore") -> "Direct | None":
        """The direct access to a bucket, or None where the bucket's client is needed."""
        if not isinstance(objects, S3Store) or any(name.startswith(CLIENT_ONLY) for name in os.environ):
            return None
        return Direct(objects)

    def read(self, key: str, start: int, length: int) -> Generator[memoryview]:
        """Yield the bytes of a range, fewer if the object ends before. Each piece overwrites the one before.

        Raises:
            FileNotFoundError: there is no such object.
            GenericError: the server refused, or the connection broke off.
            NotDirectError: the bucket's client is needed; nothing was read yet.
        """
        with self._open_connection("GET", key) as (connection, target):
            with _translate_errors(key):
                connection.request("GET", target, headers={"Range": f"bytes={start}-{start + length - 1}"})
                answer = connection.getresponse()
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return
            _require_success(answer, key)
            # Some servers send a range with status 200, not 206, so its start is checked rather than the status.
            if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                raise GenericError(f"status code: 400 {key} came whole where a range was asked for: use another store")
            left = length if answer.length is None else min(length, answer.length)
            # Page-aligned memory, which writing past the page cache needs.
            buffer = memoryview(mmap(-1, CHUNK))
            while left:
                with _translate_errors(key):
                    count = answer.readinto(buffer[:left])
                if not count:
                    raise GenericError(f"reading {key}: the connection ended {left:,} bytes early")
                yield buffer[:count]
                left -= count

    def require_listing(self) -> None:
        """Return if the server sends S3 listings, or if that cannot be found out.

        Raises:
            GenericError: it sends something else; the message shows its beginning.
        """
        try:
            # A signed GET of the store's root without parameters is the older of S3's two listing requests.
            with self._open_connection("GET", "") as (connection, target), _translate_errors("a listing"):
                connection.request("GET", target)
                answer = connection.getresponse()
                said = answer.read(BEGINNING)
        except NotDirectError:
            return
        if answer.status == HTTPStatus.OK and b"<ListBucketResult" not in said:
            kind = answer.headers.get("Content-Type", "no type")
            shown = " ".join(said[:100].decode(errors="replace").split())
            raise GenericError(f"what answered is no S3 listing but {kind}, beginning {shown!r}")

    def write(self, key: str, data: Iterable[bytes], size: int) -> None:
        """Write an object of `size` bytes in one request.

        Raises:
            GenericError: the server refused, or the connection broke off.
            NotDirectError: the bucket's client is needed; nothing was written.
        """
        with self._open_connection("PUT", key) as (connection, target):
            with _translate_errors(key):
                connection.putrequest("PUT", target)
                connection.putheader("Content-Length", str(size))
                connection.endheaders()
            heard = True
            for piece in data:
                try:
                    connection.send(piece)
                except ConnectionError:
                    heard = False  # the server may have sent its reason before it closed the connection
                    break
                except OSError as error:
                    raise GenericError(f"writing {key}: {error}") from error
            with _translate_errors(key):
                answer = connection.getresponse()
            _require_success(answer, key)
            if not heard:
                raise GenericError(f"writing {key}: the server hung up before it had all")

    def now(self) -> float | None:
        """Seconds since 1970 by the server's clock, from an answer's `Date` header; None where it has none.

        Raises:
            GenericError: there was no answer.
            NotDirectError: the bucket's client is needed.
        """
        with self._open_connection("GET", ANY_KEY) as (connection, target), _translate_errors(ANY_KEY):
            connection.request("GET", target, headers={"Range": "bytes=0-0"})
            said = connection.getresponse().headers.get("Date", "")
        try:
            return parsedate_to_datetime(said).timestamp() + 0.5  # the header drops fractions: half a second on average
        except ValueError:
            return None

    @contextmanager
    def _open_connection(self, method: Literal["GET", "PUT"], key: str) -> Generator[tuple[HTTPConnection, str]]:
        url = urlsplit(obstore.sign(self._objects, method, key, SIGNED_FOR))
        if url.scheme in getproxies() and not proxy_bypass(url.netloc):
            raise NotDirectError(f"{key}: {url.netloc} is behind a proxy")
        if url.scheme == "https":
            self._context = self._context or ssl.create_default_context()
            connection = HTTPSConnection(url.netloc, timeout=TIMEOUT, context=self._context)
        else:
            connection = HTTPConnection(url.netloc, timeout=TIMEOUT)
        with closing(connection):
            yield connection, f"{url.path}?{url.query}"


@contextmanager
def _translate_errors(key: str) -> Generator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise NotDirectError(f"{key}: {error}") from error
    except (HTTPException, OSError) as error:
        raise GenericError(f"{key}: {error or type(error).__name__}") from error


def _require_success(answer: HTTPResponse, key: str) -> None:
    if answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    if answer.status == HTTPStatus.NOT_FOUND:
        raise FileNotFoundError(key)
    with _translate_errors(key):
        said = answer.read(1000).decode(errors="replace")
    if 300 <= answer.status < 400:
        raise NotDirectError(f"{key}: the server answers from elsewhere")
    raise GenericError(f"status code: {answer.status} {answer.reason}: {said}")

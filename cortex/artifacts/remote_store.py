"""A store in a bucket: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

import hashlib
import importlib.util
import os
import re
import secrets
from collections.abc import Callable, Generator
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import obstore
from loguru import logger
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

from cortex.artifacts.hashing import FileHash, open_steady
from cortex.artifacts.names import check_name
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import PIECE, MissingObjectError, Store, StoredObject, StoreError
from cortex.artifacts.streaming import pieces
from cortex.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3CredentialProvider

Result = TypeVar("Result")

PARTS_AT_ONCE = 3
"""Parts of one file that are under way together: with `PIECE`, what an upload holds in memory."""

MAX_PARTS = 9000
"""S3 takes at most 10,000 parts an object."""

DELETE_BATCH = 1000

RENEWALS = 3
"""Attempts that a refused credential is worth: it may have been renewed meanwhile."""

_STATUS = re.compile(r"status code: (\d{3})")
_CREDENTIALS = re.compile(r"ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired|status code: 40[13]")


class RemoteStore(Store):
    """Objects in a bucket, below the URL's path."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        if not urlsplit(url).netloc:
            raise ConfigError(f"store {url!r} names no bucket: write s3://bucket/prefix")
        super().__init__(url.rstrip("/"))
        self.patience = patience or Patience()
        self.retries = 0
        """How often something was asked again."""
        self._objects = self._connect()
        self._ranges_as_partial = True

    def put(self, key: str, data: bytes) -> None:
        self._ask("written", key, lambda: obstore.put(self._objects, check_name(key), data, use_multipart=False))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        def create() -> bool:
            try:
                obstore.put(self._objects, check_name(key), data, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._ask("written", key, create)

    def get(self, key: str) -> bytes:
        return self._ask("read", key, lambda: bytes(obstore.get(self._objects, check_name(key)).bytes()))

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        def ask() -> memoryview:
            if self._ranges_as_partial:
                try:
                    return memoryview(obstore.get_range(self._objects, check_name(key), start=start, length=length))
                except GenericError as error:
                    if "non-partial response" not in str(error):
                        raise
                    self._ranges_as_partial = False
            return self._plain_range(check_name(key), start, length)

        # A range of no bytes cannot be asked for over HTTP.
        return self._ask("read", key, ask) if length else memoryview(b"")

    def size(self, key: str) -> int:
        return self._ask("read", key, lambda: obstore.head(self._objects, check_name(key))["size"])

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except MissingObjectError:
            return False
        return True

    def list(self, prefix: str = "") -> list[StoredObject]:
        prefix = prefix.rstrip("/")

        def collect() -> list[StoredObject]:
            pages = obstore.list(self._objects, prefix or None, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]
            return [StoredObject(entry["path"], entry["size"]) for page in pages for entry in page]

        return sorted(self._ask("listed", prefix, collect), key=lambda entry: entry.key)

    def upload(self, path: Path, key: str) -> FileHash:
        return self._ask("written", key, lambda: self._send(path, check_name(key)))

    def download(self, key: str, path: Path) -> None:
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        try:
            with part.open("wb") as file:
                for piece in pieces(self, key, self.size(key)):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def delete(self, prefix: str) -> int:
        prefix = prefix.rstrip("/")
        keys = [entry.key for entry in self.list(prefix)]
        if self.exists(prefix):
            keys.append(prefix)
        for start in range(0, len(keys), DELETE_BATCH):
            batch = keys[start : start + DELETE_BATCH]
            self._ask("deleted", prefix, lambda batch=batch: obstore.delete(self._objects, batch))
        return len(keys)

    def _plain_range(self, key: str, start: int, length: int) -> memoryview:
        """Ask by a signed URL, for servers that send a range as 200, not 206: the client would not take it."""
        if not isinstance(self._objects, S3Store | GCSStore | AzureStore):
            raise ConfigError(f"store {self.url!r} is no bucket")
        url = obstore.sign(self._objects, "GET", key, timedelta(minutes=10))
        request = Request(url, headers={"Range": f"bytes={start}-{start + length - 1}"})
        try:
            with urlopen(request, timeout=30) as answer:
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    raise StoreError(f"{self.url} does not serve ranges of objects: use another store")
                return memoryview(answer.read())
        except HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                raise FileNotFoundError(key) from error
            raise GenericError(f"status code: {error.code} {error.reason} {error.read()[:300]!r}") from error
        except (HTTPException, OSError) as error:
            raise GenericError(f"reading {key}: {error}") from error

    def _send(self, path: Path, key: str) -> FileHash:
        """One attempt at a whole file: what is hashed is what is sent, whatever becomes of the file meanwhile."""
        digest = hashlib.sha256()
        sent = 0
        with open_steady(path) as file:
            size = os.fstat(file.fileno()).st_size
            part = max(PIECE, -(-size // MAX_PARTS))

            def parts() -> Generator[bytes]:
                nonlocal sent
                while piece := file.read(part):
                    digest.update(piece)
                    sent += len(piece)
                    yield piece

            if size <= PIECE:
                obstore.put(self._objects, key, b"".join(parts()), use_multipart=False)
            else:
                obstore.put(self._objects, key, parts(), chunk_size=part, max_concurrency=PARTS_AT_ONCE)
        return FileHash(sent, digest.hexdigest())

    def _connect(self) -> "ObjectStore":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
        client: ClientConfig = {
            "allow_http": endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=10),
            "read_timeout": timedelta(seconds=30),
            "timeout": timedelta(minutes=5),
        }
        # A part of an upload is tried again by the client; anything more is ours to count and to report.
        retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
        provider = _boto3_credentials() if self.url.startswith("s3:") else None
        try:
            if provider:
                return S3Store.from_url(
                    self.url, client_options=client, retry_config=retry, credential_provider=provider
                )
            return from_url(self.url, client_options=client, retry_config=retry)
        except (BaseError, ValueError) as error:
            raise ConfigError(f"store {self.url!r} cannot be opened: {_first_line(error)}") from error

    def _ask(self, done: str, key: str, call: Callable[[], Result]) -> Result:
        """Keep asking while it may help, and turn the client's errors into ours."""

        def told(error: Exception, wait: float) -> None:
            self.retries += 1
            logger.warning(f"{self.url}/{key} not {done} yet ({_first_line(error)}): again in {wait:.1f} s")
            if _CREDENTIALS.search(str(error)):
                self._objects = self._connect()

        try:
            return self.patience.persist(call, BaseError, _is_transient, told)
        except FileNotFoundError as error:
            if done == "read":
                raise MissingObjectError(f"{self.url} has no {key!r}") from error
            raise StoreError(f"{self.url}/{key} cannot be {done}: {_first_line(error)}") from error
        except BaseError as error:
            advice = _advice(str(error))
            raise StoreError(f"{self.url}/{key} cannot be {done}: {_first_line(error)}{advice}") from error


def _boto3_credentials() -> "S3CredentialProvider | None":
    """Profiles and single sign-on of a laptop, which the bucket client does not read; None where they say nothing."""
    if "AWS_ACCESS_KEY_ID" in os.environ or importlib.util.find_spec("boto3") is None:
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except ValueError:
        return None


def _is_transient(error: Exception, attempt: int) -> bool:
    if not isinstance(error, GenericError | PermissionDeniedError | UnauthenticatedError):
        return False
    text = str(error)
    if "RequestTimeTooSkewed" in text:
        return False
    if _CREDENTIALS.search(text):
        return attempt < RENEWALS
    status = _STATUS.search(text)
    return status is None or status[1] in ("408", "429") or status[1].startswith("5")


def _advice(text: str) -> str:
    if "RequestTimeTooSkewed" in text:
        return ": this machine's clock is wrong; set it"
    if _CREDENTIALS.search(text):
        return ": the credentials are not accepted (any more); renew them, then run this again"
    return ""


def _first_line(error: Exception) -> str:
    """The message without the client's debug dump, and the server's code where it gives one."""
    text = str(error).strip()
    code = re.search(r"<Code>(\w+)</Code>", text)
    return text.partition("\n")[0].partition(": <?xml")[0][:300] + (f" ({code[1]})" if code else "")

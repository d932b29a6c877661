"""A store in a bucket: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

import hashlib
import os
import secrets
from collections.abc import Callable, Generator
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import obstore
from loguru import logger
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import AzureStore, GCSStore, S3Store

from cortex.artifacts.bucket import advice, connect, first_line, is_about_credentials, is_transient
from cortex.artifacts.hashing import FileHash, open_steady
from cortex.artifacts.names import check_key
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import PIECE, MissingObjectError, Store, StoredObject, StoreError
from cortex.artifacts.streaming import pieces
from cortex.errors import ConfigError

Result = TypeVar("Result")

CHUNK = 1024 * 1024
"""Bytes of a stream that are handed on at a time: the size that took the least time here."""

PARTS_AT_ONCE = 3
"""Parts of one file that are under way together: with `PIECE`, what an upload holds in memory."""

MAX_PARTS = 9000
"""S3 takes at most 10,000 parts an object."""

DELETE_BATCH = 1000


class RemoteStore(Store):
    """Objects in a bucket, below the URL's path."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        if not urlsplit(url).netloc:
            raise ConfigError(f"store {url!r} names no bucket: write s3://bucket/prefix")
        super().__init__(url.rstrip("/"))
        self.patience = patience or Patience()
        self.retries = 0
        """How often something was asked again."""
        self._objects = connect(self.url)
        self._ranges_as_partial = True

    def patient(self, patience: Patience) -> "RemoteStore":
        return RemoteStore(self.url, patience)

    def put(self, key: str, data: bytes) -> None:
        self._ask("written", key, lambda: obstore.put(self._objects, check_key(key), data, use_multipart=False))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        def create() -> bool:
            try:
                obstore.put(self._objects, check_key(key), data, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._ask("written", key, create)

    def get(self, key: str) -> bytes:
        return self._ask("read", key, lambda: bytes(obstore.get(self._objects, check_key(key)).bytes()))

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        def ask() -> memoryview:
            if self._ranges_as_partial:
                try:
                    return memoryview(obstore.get_range(self._objects, check_key(key), start=start, length=length))
                except GenericError as error:
                    if "non-partial response" not in str(error):
                        raise
                    self._ranges_as_partial = False
            return self._plain_range(check_key(key), start, length)

        # A range of no bytes cannot be asked for over HTTP.
        return self._ask("read", key, ask) if length else memoryview(b"")

    def stream(self, key: str) -> Generator[memoryview]:
        answer = self._ask("read", key, lambda: obstore.get(self._objects, check_key(key)))
        try:
            for chunk in answer.stream(min_chunk_size=CHUNK):
                yield memoryview(chunk)
        except BaseError as error:
            self.retries += 1
            raise StoreError(f"{self.url}/{key} broke off: {first_line(error)}") from error

    def size(self, key: str) -> int:
        return self._ask("read", key, lambda: obstore.head(self._objects, check_key(key))["size"])

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
        return self._ask("written", key, lambda: self._send(path, check_key(key)))

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

    def _ask(self, done: str, key: str, call: Callable[[], Result]) -> Result:
        """Keep asking while it may help, and turn the client's errors into ours."""

        def told(error: Exception, wait: float) -> None:
            self.retries += 1
            level = "TRACE" if self.patience.listener else "WARNING"  # who listens tells it, once for all requests
            logger.log(level, f"{self.url}/{key} not {done} yet ({first_line(error)}): again in {wait:.1f} s")
            if is_about_credentials(error):
                self._objects = connect(self.url)

        try:
            return self.patience.persist(call, BaseError, is_transient, told)
        except FileNotFoundError as error:
            if done == "read" and "NoSuchBucket" not in str(error):
                raise MissingObjectError(f"{self.url} has no {key!r}") from error
            raise StoreError(f"{self.url}/{key} cannot be {done}: {first_line(error)}") from error
        except BaseError as error:
            raise StoreError(f"{self.url}/{key} cannot be {done}: {first_line(error)}{advice(error)}") from error

"""A store in a bucket: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from cortex.artifacts.names import check_name
from cortex.artifacts.store import MissingObjectError, Store, StoredObject, StoreError
from cortex.errors import ConfigError

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload, and of one piece of a download."""

DELETE_BATCH = 1000


class RemoteStore(Store):
    """Objects in a bucket, below the URL's path."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.netloc:
            raise ConfigError(f"store {url!r} names no bucket: write {parts.scheme}://bucket/prefix")
        super().__init__(url.rstrip("/"))
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
        try:
            self._objects = from_url(
                f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}",
                client_options={"allow_http": endpoint.startswith("http://")},
            )
        except (BaseError, ValueError) as error:
            raise ConfigError(f"store {url!r} cannot be opened: {_first_line(error)}") from error

    def put(self, key: str, data: bytes) -> None:
        with self._asking("written", key):
            obstore.put(self._objects, check_name(key), data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self._asking("written", key):
            try:
                obstore.put(self._objects, check_name(key), data, mode="create")
            except AlreadyExistsError:
                return False
            return True

    def get(self, key: str) -> bytes:
        with self._asking("read", key):
            return bytes(obstore.get(self._objects, check_name(key)).bytes())

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with self._asking("read", key):
            return bytes(obstore.get_range(self._objects, check_name(key), start=start, length=length))

    def exists(self, key: str) -> bool:
        try:
            with self._asking("read", key):
                obstore.head(self._objects, check_name(key))
        except MissingObjectError:
            return False
        return True

    def list(self, prefix: str = "") -> list[StoredObject]:
        prefix = prefix.rstrip("/")
        with self._asking("listed", prefix):
            found = obstore.list(self._objects, prefix or None, chunk_size=1000)  # pyright: ignore[reportUnknownMemberType]
            return sorted(
                (StoredObject(entry["path"], entry["size"]) for chunk in found for entry in chunk),
                key=lambda entry: entry.key,
            )

    def upload(self, path: Path, key: str) -> None:
        with path.open("rb") as file, self._asking("written", key):
            obstore.put(self._objects, check_name(key), file, chunk_size=PART)

    def download(self, key: str, path: Path) -> None:
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        try:
            with self._asking("read", key), part.open("wb") as file:
                for chunk in obstore.get(self._objects, check_name(key)).stream(min_chunk_size=PART):
                    file.write(chunk)
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
        with self._asking("deleted", prefix):
            for start in range(0, len(keys), DELETE_BATCH):
                obstore.delete(self._objects, keys[start : start + DELETE_BATCH])
        return len(keys)

    @contextmanager
    def _asking(self, done: str, key: str) -> Generator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            if done == "read" and isinstance(error, FileNotFoundError):
                raise MissingObjectError(f"{self.url} has no {key!r}") from error
            raise StoreError(f"{self.url}/{key} cannot be {done}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]

"""A store in a bucket of Amazon S3 or a server with its protocol, of Google Cloud Storage or Azure Blob Storage."""

import hashlib
import os
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from itertools import islice
from mmap import mmap
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import obstore
from loguru import logger
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError, PermissionDeniedError

from cortex.artifacts.bucket_client import connect
from cortex.artifacts.direct import CHUNK, Direct, NotDirectError
from cortex.artifacts.error_answers import advice, first_line, is_about_credentials, is_transient
from cortex.artifacts.file_names import CHECKPOINT_TAG, check_key, is_of_a_checkpoint
from cortex.artifacts.hashing import FileHash, open_steady
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import PIECE, MissingObjectError, Store, StoredObject, StoreError
from cortex.artifacts.streaming import read_pieces
from cortex.clock import steady_time
from cortex.errors import ConfigError
from cortex.limits import OBJECTS, RECORD_BYTES, TooLargeError

Result = TypeVar("Result")
Tags = dict[str, str] | None

SINGLE = 256 * 1024 * 1024
"""Largest file that is sent in one request: a broken connection costs so many bytes at most."""

PARTS_AT_ONCE = 3
"""Parts of one file that are sent at the same time; with the parts' size, it bounds an upload's memory."""

MAX_PARTS = 9000
"""Most parts of one upload; S3 takes 10,000 at most."""

PAGE = 1000
"""Objects in one answer to a listing."""

DELETE_BATCH = 1000

CLOCK_SECONDS = 2.0
"""Smaller differences of the bucket's clock are ignored: its answer is in whole seconds and comes with a delay."""


class RemoteStore(Store):
    """Objects in a bucket, below the URL's path."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        if not urlsplit(url).netloc:
            raise ConfigError(f"store {url!r} names no bucket: write s3://bucket/prefix")
        super().__init__(url.rstrip("/"))
        self.patience = patience or Patience()
        self.retries = 0
        """Requests that were retried."""
        self._lists = False
        self._connect()
        self._ranges_as_partial = True
        self._ahead: float | None = None
        """Seconds that the bucket's clock is ahead of this machine's; None until the first request for it."""
        self._takes_tags = url.startswith("s3:")

    def with_patience(self, patience: Patience) -> "RemoteStore":
        return RemoteStore(self.url, patience)

    def now(self) -> float:
        # Requested once: from then on this program's own steady clock serves.
        if self._ahead is None:
            said = None
            with suppress(BaseError):  # without an answer, this machine's clock is used in comparisons
                said = self._direct.now() if self._direct else None
            ahead = 0.0 if said is None else said - steady_time()
            self._ahead = ahead if abs(ahead) >= CLOCK_SECONDS else 0.0
        return steady_time() + self._ahead

    def put(self, key: str, data: bytes) -> None:
        def write(tags: Tags) -> None:
            obstore.put(self._objects, check_key(key), data, tags=tags, use_multipart=False)

        self._with_retries("written", key, lambda: self._write_tagged(key, write))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        def create(tags: Tags) -> bool:
            try:
                obstore.put(self._objects, check_key(key), data, tags=tags, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._with_retries("written", key, lambda: self._write_tagged(key, create))

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        def read() -> bytes:
            answer = obstore.get(self._objects, check_key(key))
            if (size := answer.meta["size"]) > limit:
                raise TooLargeError(f"{self.url}/{key} has {size:,} bytes, of the {limit:,} that it may have")
            return bytes(answer.bytes())

        return self._with_retries("read", key, read)

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        def ask() -> memoryview:
            if self._ranges_as_partial:
                try:
                    return memoryview(obstore.get_range(self._objects, check_key(key), start=start, length=length))
                except GenericError as error:
                    if "416 Range Not Satisfiable" in str(error):
                        return memoryview(b"")
                    if "non-partial response" not in str(error):
                        raise
                    self._ranges_as_partial = False
            return self._plain_range(check_key(key), start, length)

        # HTTP cannot express a range of no bytes.
        return self._with_retries("read", key, ask) if length else memoryview(b"")

    def stream(self, key: str, start: int, length: int) -> Generator[memoryview]:
        try:
            if self._direct:
                try:
                    yield from self._direct.read(check_key(key), start, length)
                    return
                except NotDirectError:
                    self._direct = None
            answer = obstore.get(self._objects, check_key(key), options={"range": (start, start + length)})
            for chunk in answer.stream(min_chunk_size=CHUNK):
                yield memoryview(chunk)
        except FileNotFoundError as error:
            raise MissingObjectError(f"{self.url} has no {key!r}") from error
        except BaseError as error:
            self.retries += 1
            raise StoreError(f"{self.url}/{key} broke off: {first_line(error)}") from error

    def size(self, key: str) -> int:
        return self._with_retries("read", key, lambda: obstore.head(self._objects, check_key(key))["size"])

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except MissingObjectError:
            return False
        return True

    def folders(self, prefix: str = "") -> list[str]:
        prefix = prefix.rstrip("/")

        def collect() -> Sequence[str]:
            found = obstore.list_with_delimiter(self._objects, prefix or None)  # pyright: ignore[reportUnknownMemberType]
            if not found["common_prefixes"]:
                self._require_listings()
            return found["common_prefixes"]

        return sorted(name.rpartition("/")[2] for name in self._with_retries("listed", prefix, collect))

    def list(self, prefix: str = "") -> list[StoredObject]:
        prefix = prefix.rstrip("/")

        def collect() -> list[StoredObject]:
            pages = obstore.list(self._objects, prefix or None, chunk_size=PAGE)  # pyright: ignore[reportUnknownMemberType]
            found = [
                StoredObject(entry["path"], entry["size"], entry["last_modified"].timestamp())
                for page in islice(pages, OBJECTS // PAGE + 1)
                for entry in page
            ]
            if not found:
                self._require_listings()
            if len(found) > OBJECTS:
                raise TooLargeError(f"{self.url}/{prefix} holds more than {OBJECTS:,} objects: it is no folder of runs")
            return found

        return sorted(self._with_retries("listed", prefix, collect), key=lambda entry: entry.key)

    def upload(self, path: Path, key: str) -> FileHash:
        return self._with_retries(
            "written", key, lambda: self._write_tagged(key, lambda tags: self._send_file(path, check_key(key), tags))
        )

    def download(self, key: str, path: Path) -> None:
        part = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}")
        try:
            with part.open("wb") as file:
                for piece in read_pieces(self, key, self.size(key)):
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
            self._with_retries("deleted", prefix, lambda batch=batch: obstore.delete(self._objects, batch))
        return len(keys)

    def _require_listings(self) -> None:
        """Check once, after an empty listing, that the server sends listings at all.

        The client takes any XML or HTML with status 200, such as a login page or an error, for an empty listing.
        """
        if self._lists or not self._direct:
            return
        root = Direct.to(connect(f"s3://{urlsplit(self.url).netloc}"))
        if root:
            root.require_listing()
        self._lists = True

    def _connect(self) -> None:
        self._objects = connect(self.url)
        self._direct = Direct.to(self._objects)

    def _plain_range(self, key: str, start: int, length: int) -> memoryview:
        """Read a range from a server that sends it with status 200, not 206, which the client refuses."""
        if not self._direct:
            raise StoreError(f"{self.url} sends ranges as whole objects: use another store")
        # Memory of its own pages goes back to the system at once; the heaps of eight threads would keep theirs.
        data = memoryview(mmap(-1, length))
        at = 0
        for chunk in self._direct.read(key, start, length):
            data[at : at + len(chunk)] = chunk
            at += len(chunk)
        return data[:at]

    def _write_tagged(self, key: str, write: Callable[[Tags], Result]) -> Result:
        """Write an object with its tags, or without, if the server or a policy refuses tags."""
        tags: Tags = {CHECKPOINT_TAG[0]: CHECKPOINT_TAG[1]} if self._takes_tags and is_of_a_checkpoint(key) else None
        try:
            return write(tags)
        except BaseError as error:
            if tags is None or not (isinstance(error, PermissionDeniedError) or "NotImplemented" in str(error)):
                raise
            done = write(None)
            self._takes_tags = False
            logger.warning(f"{self.url} takes no tags: a rule that removes what has {tags} will not find checkpoints")
            return done

    def _send_file(self, path: Path, key: str, tags: Tags) -> FileHash:
        """Send a whole file once. The hash is of the bytes that are sent, even if the file changes meanwhile."""
        digest = hashlib.sha256()
        with open_steady(path) as file:
            size = os.fstat(file.fileno()).st_size

            def parts(length: int) -> Generator[bytes]:
                while piece := file.read(length):
                    digest.update(piece)
                    yield piece

            if size <= PIECE:
                obstore.put(self._objects, key, b"".join(parts(PIECE)), tags=tags, use_multipart=False)
            elif size <= SINGLE and self._direct and not tags:  # a signed URL carries none
                try:
                    self._direct.write(key, parts(CHUNK), size)
                except NotDirectError:
                    self._direct = None
                    return self._send_file(path, key, tags)
            else:
                part = max(PIECE, -(-size // MAX_PARTS))
                try:
                    obstore.put(
                        self._objects, key, parts(part), tags=tags, chunk_size=part, max_concurrency=PARTS_AT_ONCE
                    )
                except FileNotFoundError as error:
                    if "NoSuchUpload" not in str(error):
                        raise
                    # The answer to the upload's completion was lost. Whether the object exists is unknown: send again.
                    raise GenericError(f"{key}: its upload in parts is gone (NoSuchUpload)") from error
            return FileHash(file.tell(), digest.hexdigest())

    def _with_retries(self, done: str, key: str, call: Callable[[], Result]) -> Result:
        """Retry a request while that may help, and turn the client's errors into the kit's."""

        def on_retry(error: Exception, wait: float) -> None:
            self.retries += 1
            level = "TRACE" if self.patience.listener else "WARNING"  # the listener reports, once for all requests
            logger.log(level, f"{self.url}/{key} not {done} yet ({first_line(error)}): again in {wait:.1f} s")
            if is_about_credentials(error):
                self._connect()

        try:
            return self.patience.persist(call, BaseError, is_transient, on_retry)
        except FileNotFoundError as error:
            if done == "read" and "NoSuchBucket" not in str(error):
                raise MissingObjectError(f"{self.url} has no {key!r}") from error
            raise StoreError(f"{self.url}/{key} cannot be {done}: {first_line(error)}{advice(error)}") from error
        except BaseError as error:
            raise StoreError(f"{self.url}/{key} cannot be {done}: {first_line(error)}{advice(error)}") from error

"""The simulated bucket as one writer's client sees it: refusals in conflict, lost answers, listings of long ago."""

from collections.abc import Generator
from pathlib import Path

from cortex.artifacts.hashing import FileHash, hash_file
from cortex.artifacts.store import RECORD_BYTES, MissingObjectError, Store, StoredObject, StoreError
from cortex.limits import TooLargeError
from tests.protocol.world import World, Write, Writer


class Bucket(Store):
    """The bucket of a writer's client. Without a writer it is an observer's: nothing fails, and no request waits."""

    def __init__(self, world: World, writer: Writer | None = None) -> None:
        super().__init__("sim://bucket")
        self.world, self.writer = world, writer

    def put(self, key: str, data: bytes) -> None:
        self._lose_some(self._send(key, data, conditional=False))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        write = self._send(key, data, conditional=True)
        if self.world.conditional and self._fails():
            return False  # in conflict with another's write (409), or as if it were
        created = self._lose_some(write)
        if not self.world.conditional:
            return True  # it knows no condition, and says that all is well
        return created and not self._fails()  # an answer that was lost, and asked for again, is no

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        self._ask()
        if self._fails(0.05):
            raise StoreError(f"{key}: it does not answer")
        if key not in self.world.objects:
            raise MissingObjectError(key)
        data = self.world.objects[key][0]
        if len(data) > limit:
            raise TooLargeError(f"{key} has more than {limit:,} bytes")
        return data

    def folders(self, prefix: str = "") -> list[str]:
        return sorted({entry.key.removeprefix(f"{prefix}/").partition("/")[0] for entry in self.list(prefix)})

    def list(self, prefix: str = "") -> list[StoredObject]:
        self._ask()
        seen = self.world.rng.choice(self.world.past) if self._fails() else self.world.objects
        return [
            StoredObject(key, len(data), at)
            for key, (data, at) in sorted(seen.items())
            if key.startswith(f"{prefix}/" if prefix else "")
        ]

    def upload(self, path: Path, key: str) -> FileHash:
        data = path.read_bytes()
        if self._fails(0.2):
            self.world.damaged, data = True, data[:-1] + b"?"
        self.put(key, data)
        return hash_file(path)

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        return memoryview(self.get(key)[start : start + length])

    def stream(self, key: str, start: int, length: int) -> Generator[bytes]:
        yield self.get(key)[start : start + length]

    def size(self, key: str) -> int:
        return len(self.get(key))

    def exists(self, key: str) -> bool:
        try:
            self.get(key)
        except MissingObjectError:
            return False
        return True

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def delete(self, prefix: str) -> int:
        raise NotImplementedError(prefix)

    def now(self) -> float:
        return self.world.now

    def _ask(self) -> None:
        if self.writer:
            self.writer.request()
            self.writer.began()

    def _send(self, key: str, data: bytes, *, conditional: bool) -> Write:
        assert self.writer, "an observer writes nothing"
        write = self.writer.request(key, data, conditional=conditional)
        assert write
        self.writer.began()
        return write

    def _lose_some(self, write: Write) -> bool:
        """Land a write, unless it is lost; True where it created its object. Its answer may be lost, too."""
        assert self.writer
        if self._fails(0.3):
            self.writer.lose(write)
            raise StoreError(f"{write.key}: it does not answer")
        created = self.world.land(write)
        if self._fails(0.3):
            raise StoreError(f"{write.key}: the answer was lost")
        return created

    def _fails(self, share: float = 1.0) -> bool:
        return self.writer is not None and self.world.rng.random() < self.world.faults * share

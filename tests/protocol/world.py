"""A simulated bucket and its writers, of which one runs at a time: a seed decides who, and what goes wrong."""

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from random import Random

from cortex.artifacts.hashing import FileHash, hash_file
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.store import RECORD_BYTES, MissingObjectError, Store, StoredObject, StoreError


class Killed(BaseException):
    """The writer's machine is gone."""


class ViolationError(AssertionError):
    """Something happened that must never happen."""


class World:
    """The objects of a bucket, what it looked like before, and the rules that every write is held against."""

    def __init__(self, rng: Random, faults: float) -> None:
        self.rng, self.faults, self.now = rng, faults, 1e9
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.past: list[dict[str, tuple[bytes, float]]] = [{}]
        self.writers: list[Writer] = []
        self.overtaken = False
        """Whether a write was under way when its writer lost the run."""

    def write(self, key: str, data: bytes, writer: "Writer") -> None:
        there = self.objects.get(key)
        kept = key.endswith(f"/{MANIFEST}") or "/lease/" in key or "/ledger/" in key
        if kept and there is not None and there[0] != data:
            raise ViolationError(f"{key} was replaced")
        if "/lease/" in key and there is None:
            epoch = int(key.rpartition("/")[2])
            if epoch != 1 + sum("/lease/" in known for known in self.objects):
                raise ViolationError(f"epoch {epoch} leaves a gap")
            for other in self.writers:
                if other is not writer:
                    other.since_taken = other.since_taken or 0
            writer.since_taken = None
        if "/a/" in key and writer.since_taken is not None:
            self.overtaken = self.overtaken or writer.since_taken == 0
            if key.endswith(f"/{MANIFEST}") and writer.since_taken > 0:
                raise ViolationError(f"{writer.name} published after it could have known that the run was taken over")
        self.objects = {**self.objects, key: (data, self.now)}
        self.past.append(self.objects)


class Writer:
    """A program in a thread of its own, which stops at each request until it is let go on."""

    def __init__(self, world: World, name: str, program: "Callable[[Bucket], None]") -> None:
        self.world, self.name, self.ended, self.killed = world, name, False, False
        self.failure: BaseException | None = None
        self.since_taken: int | None = None
        """Requests it began since somebody else took the run; None while nobody has."""
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        world.writers.append(self)
        threading.Thread(target=self._run, args=(program,), name=name, daemon=True).start()
        self._back.acquire()

    def step(self, *, kill: bool) -> None:
        """Let it make the request at which it waits, and go on to its next, or kill it there."""
        self.killed = self.killed or kill
        self._go.release()
        self._back.acquire()

    def request(self) -> None:
        """Wait for leave to make a request."""
        if self.killed:
            raise Killed
        self._back.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    def _run(self, program: "Callable[[Bucket], None]") -> None:
        try:
            self.request()
            program(Bucket(self.world, self))
        except Killed:
            pass
        except BaseException as error:
            self.failure = error
        self.ended = True
        self._back.release()


class Bucket(Store):
    """The bucket as one writer's client sees it: a refusal in conflict, a lost answer, a listing of long ago."""

    def __init__(self, world: World, writer: Writer | None = None) -> None:
        super().__init__("sim://bucket")
        self.world, self.writer = world, writer

    def _request(self) -> None:
        if self.writer:
            self.writer.request()

    def _began(self) -> None:
        if self.writer and self.writer.since_taken is not None:
            self.writer.since_taken += 1

    def _fails(self, share: float = 1.0) -> bool:
        return self.writer is not None and self.world.rng.random() < self.world.faults * share

    def put(self, key: str, data: bytes) -> None:
        self._request()
        assert self.writer
        self.world.write(key, data, self.writer)
        self._began()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._request()
        assert self.writer
        if self._fails():
            self._began()
            return False  # in conflict with another's write (409), or as if it were
        if self._fails(0.3):
            raise StoreError(f"{key}: it does not answer")
        created = key not in self.world.objects
        if created:
            self.world.write(key, data, self.writer)
        self._began()
        if self._fails(0.3):
            raise StoreError(f"{key}: the answer was lost")
        return created and not self._fails()  # an answer that was lost, and asked for again, is no

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        del limit
        self._request()
        self._began()
        if key not in self.world.objects:
            raise MissingObjectError(key)
        return self.world.objects[key][0]

    def folders(self, prefix: str = "") -> list[str]:
        return sorted({entry.key.removeprefix(f"{prefix}/").partition("/")[0] for entry in self.list(prefix)})

    def list(self, prefix: str = "") -> list[StoredObject]:
        self._request()
        self._began()
        seen = self.world.rng.choice(self.world.past) if self._fails() else self.world.objects
        return [
            StoredObject(key, len(data), at)
            for key, (data, at) in sorted(seen.items())
            if key.startswith(f"{prefix}/" if prefix else "")
        ]

    def upload(self, path: Path, key: str) -> FileHash:
        self.put(key, path.read_bytes())
        return hash_file(path)

    def get_range(self, key: str, start: int, length: int) -> memoryview:
        return memoryview(self.get(key)[start : start + length])

    def stream(self, key: str, start: int, length: int) -> Generator[bytes]:
        yield self.get(key)[start : start + length]

    def size(self, key: str) -> int:
        return len(self.get(key))

    def exists(self, key: str) -> bool:
        try:
            return bool(self.get(key)) or True
        except MissingObjectError:
            return False

    def download(self, key: str, path: Path) -> None:
        path.write_bytes(self.get(key))

    def delete(self, prefix: str) -> int:
        raise NotImplementedError(prefix)

    def now(self) -> float:
        return self.world.now

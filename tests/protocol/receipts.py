"""A release on its way to a laptop, killed between any two requests, while bytes rot in the bucket and on the disk."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from cortex.artifacts.artifact import publish
from cortex.artifacts.describe import RELEASE
from cortex.artifacts.receipt import Receipt, receipt_path
from cortex.artifacts.store import StoreError
from cortex.artifacts.verify import verify
from cortex.errors import RefusedError, VerificationError
from cortex.fleet.home.download import download, release_folder, release_of
from cortex.fleet.home.teardown import teardown
from cortex.runs.context import artifact_prefix
from tests.protocol.bucket import Bucket
from tests.protocol.rules import Rule, ViolationError
from tests.protocol.world import World, Writer

PREFIX = artifact_prefix("r", "release")


class OneMachine:
    """The run's only machine: it is looked for once the proof is given, before anything else is done."""

    def __init__(self, laptop: "Laptop") -> None:
        self._laptop = laptop

    def of_run(self, run: str) -> Sequence[str]:
        if not self._laptop.has_copy():
            raise ViolationError(Rule.NO_TEARDOWN_WITHOUT_COPY, f"machines of {run} are looked for, to destroy them")
        return ("machine",)

    def destroy(self, name: str) -> None:
        del name


class Laptop:
    """A disk, and the bucket's release to compare it with."""

    def __init__(self, world: World, home: Path) -> None:
        self.world, self.home, self.target = world, home, release_folder(home, "r")
        self.spoiled = False
        """True once the copy was damaged after the download: its receipt is no longer checked."""
        self._receipt: bytes | None = None
        self._downloads = 0

    @contextmanager
    def at_work(self) -> Generator[None]:
        """Let nothing on the disk rot during a download: a file that was just hashed is not hashed again."""
        self._downloads += 1
        try:
            yield
        finally:
            self._downloads -= 1

    def has_copy(self) -> bool:
        return self.target.is_dir() and verify(self.target, release_of(Bucket(self.world), "r")).ok

    def look(self) -> None:
        """Check a new receipt against the copy, then let something rot."""
        path = receipt_path(self.home, "r")
        found = path.read_bytes() if path.exists() else None
        if found != self._receipt and not self.spoiled:
            receipt = Receipt.read(self.home, "r")
            if receipt is None or receipt.manifest != release_of(Bucket(self.world), "r").digest or not self.has_copy():
                raise ViolationError(Rule.NO_RECEIPT_WITHOUT_COPY, str(found))
        self._receipt = found
        if self.world.rng.random() < self.world.faults / 5:
            self._rot()

    def _rot(self) -> None:
        rng = self.world.rng
        if rng.random() < 0.5:
            key = rng.choice([key for key in self.world.objects if key.startswith(f"{PREFIX}/file")])
            data, at = self.world.objects[key]
            self.world.objects = {**self.world.objects, key: (_flip(rng, data), at)}
            return
        if self._downloads:
            return
        part = self.target.with_name(f"{self.target.name}.part")
        folder = self.target if self._receipt and self.target.is_dir() else part
        self.spoiled = self.spoiled or folder == self.target
        if files := sorted(path for path in folder.glob("file*") if path.stat().st_size):
            path = rng.choice(files)
            path.write_bytes(_flip(rng, path.read_bytes()))


def _flip(rng: Random, data: bytes) -> bytes:
    """The data with one byte changed, or one byte shorter."""
    at = rng.randrange(len(data))
    return data[:at] + (bytes([data[at] ^ 1]) if rng.random() < 0.7 else b"") + data[at + 1 :]


def play_receipts(rng: Random, folder: Path) -> None:
    """Play one schedule: a release is published, then two commands, one after the other or at once, bring it home."""
    world = World(rng, faults=0.0)
    output = folder / "output"
    output.mkdir()
    for number in range(3):
        (output / f"file{number}").write_bytes(rng.randbytes(100))
    Writer(world, "maker", lambda writer: _publish(output, world, writer))
    world.play(kills=0.0)
    world.faults = rng.choice([0.05, 0.2])
    laptop = Laptop(world, folder / "home")

    def program(writer: Writer) -> None:
        store = Bucket(world, writer)
        for _ in range(2):
            with suppress(StoreError, RefusedError, VerificationError), laptop.at_work():
                download("r", store, laptop.home, now=lambda: datetime.fromtimestamp(world.now, UTC))
            with suppress(StoreError, RefusedError):
                teardown("r", store, laptop.home, OneMachine(laptop))

    for name in "ab":
        Writer(world, name, program)
    world.play(kills=0.03, look=laptop.look)


def _publish(output: Path, world: World, writer: Writer) -> None:
    publish(output, Bucket(world, writer), PREFIX, kind=RELEASE, code="c")

"""Lease, publication and ledger, as the real code does them, over a simulated bucket: thousands of schedules of two and
three writers with conflicts, lost answers, stale listings and kills between any two requests."""

from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import strategies as st

from cortex.artifacts import creating
from cortex.artifacts.artifact import fetch, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.patience import Patience
from cortex.errors import CortexError, VerificationError
from cortex.runs.ledger import Ledger, LedgerReader
from tests.fuzz.runner import Fuzz
from tests.protocol.world import Bucket, ViolationError, World, Writer

MEMORY = Path("/dev/shm")
"""Where a sync to the disk takes no time."""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "SETTLING", Patience(sleep=lambda seconds: None))


def play(seed: int) -> None:
    """Run the schedule of a seed, and hold each write and its end against what docs/proof.md says."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        _play(Random(seed), Path(folder))


def _play(rng: Random, folder: Path) -> None:
    world = World(rng, faults=rng.choice([0.0, 0.05, 0.2]))
    acknowledged = list[str]()

    def program(name: str, same: bool) -> None:
        output = folder / name
        output.mkdir()
        (output / "file").write_text("same" if same else name)

        def run(store: Bucket) -> None:
            with suppress(CortexError):
                lease = Lease.take(store, "r")
                ledger = Ledger(store, "r", lease.epoch)
                for number in range(3):
                    with suppress(CortexError):
                        ledger.append("step", word=f"{name}-{number}")
                publish(output, store, "runs/r/a", kind="a", code="c", lease=lease)
                ledger.append("stage_finished", word=f"{name}-end", seconds=1.0)
                acknowledged.extend(f"{name}-{number}" for number in range(3))
                acknowledged.append(f"{name}-end")

        Writer(world, name, run)

    same = rng.random() < 0.3
    for name in "abc"[: rng.choice([2, 3])]:
        program(name, same)
    follower, followed = LedgerReader(Bucket(world), "r", workers=1), list[str]()
    while waiting := [writer for writer in world.writers if not writer.ended]:
        world.now += rng.choice([0.0, 0.1, 1.0, 30.0])
        rng.choice(waiting).step(kill=rng.random() < world.faults / 20)
        if rng.random() < 0.1:
            followed += [event["word"] for event in follower.new_events()]
    for writer in world.writers:
        if writer.failure:
            raise writer.failure
    followed += [event["word"] for event in follower.new_events()]
    if len(followed) != len(set(followed)) or not set(acknowledged) <= set(followed):
        raise ViolationError(f"followed {followed}, where {acknowledged} was acknowledged")
    if "runs/r/a/manifest.json" in world.objects:
        try:
            fetch(Bucket(world), "runs/r/a", folder / "cache")
        except VerificationError:
            if not world.overtaken:
                raise


def test_no_schedule_breaks_a_promise(fuzz: Fuzz) -> None:
    fuzz(st.integers(0, 2**32), play)

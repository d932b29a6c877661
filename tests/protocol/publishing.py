"""Runs that two or three writers begin, take, fill and publish at once, and an operator who follows."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

from cortex.artifacts.artifact import fetch, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.store import StoreError
from cortex.errors import ConfigError, DataError, RefusedError, VerificationError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger, LedgerReader
from tests.protocol.bucket import Bucket
from tests.protocol.rules import Rule, ViolationError
from tests.protocol.world import World, Writer

EVENTS = 3
"""Events of each writer before it publishes."""


@cache
def shipped_profile() -> Profile:
    return load_profile("rehearsal")


def play_publishing(rng: Random, folder: Path) -> None:
    """Play one schedule; the writers' files are the same, or each one's own.

    A bucket without conditional writes gets a single writer, as a rehearsal is; to others it refuses itself.
    """
    conditional = rng.random() < 0.9
    world = World(rng, faults=rng.choice([0.0, 0.05, 0.2]), conditional=conditional)
    acknowledged = set[str]()
    same = rng.random() < 0.3
    names = "abc"[: rng.choice([2, 3]) if conditional else 1]

    def program(writer: Writer) -> None:
        store, name = Bucket(world, writer), writer.name
        output = folder / name
        output.mkdir()
        (output / "file").write_text("same" if same else name)
        if not conditional:
            with suppress(ConfigError, StoreError):
                create_run(store, "r", shipped_profile())
                raise ViolationError(Rule.CONDITIONAL, "it was entered")
        try:
            create_run(store, "r", shipped_profile(), rehearsal=not conditional)
            lease = Lease.take(store, "r")
            ledger = Ledger(store, "r", lease.epoch)
            for number in range(EVENTS):
                with suppress(StoreError):
                    ledger.append("step", word=f"{name}-{number}")
            publish(output, store, "runs/r/a", kind="a", code="c", lease=lease)
            ledger.append("stage_finished", word=f"{name}-end", seconds=1.0)
            acknowledged.update(f"{name}-{word}" for word in [*range(EVENTS), "end"])
        except (StoreError, RefusedError):
            pass
        except VerificationError:
            if not (world.overtaken or world.damaged):
                raise

    for name in names:
        Writer(world, name, program)
    follower, followed = LedgerReader(Bucket(world), "r", workers=1), list[str]()

    def look() -> None:
        if rng.random() < 0.1:
            followed.extend(event["word"] for event in follower.new_events())
            if len(followed) != len(set(followed)):
                raise ViolationError(Rule.NO_EVENT_TWICE, str(followed))

    world.play(kills=world.faults / 20, look=look)
    followed += [event["word"] for event in follower.new_events()]
    if len(followed) != len(set(followed)):
        raise ViolationError(Rule.NO_EVENT_TWICE, str(followed))
    if lost := acknowledged - set(followed):
        raise ViolationError(Rule.NO_EVENT_LOST, str(lost))
    if "runs/r/a/manifest.json" in world.objects and not world.overtaken:
        try:
            fetch(Bucket(world), "runs/r/a", folder / "cache")
        except DataError as error:
            raise ViolationError(Rule.WHOLE, str(error)) from error

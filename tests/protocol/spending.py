"""Machines that are metered while they work, with clocks that disagree, and a reader of what they have cost."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from cortex.artifacts.lease import Lease
from cortex.artifacts.store import StoreError
from cortex.clock import SteadyClock
from cortex.errors import RefusedError
from cortex.runs.budget import spent
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.machine import Machine
from cortex.runs.meter import Meter
from tests.protocol.bucket import Bucket
from tests.protocol.rules import Rule, ViolationError
from tests.protocol.world import World, Writer

SKEWS = (0.0, 3.0, 60.0, 3600.0, 86_400.0, 31_536_000.0)
"""Seconds by which a clock is wrong, either way, or is reset meanwhile."""

ROUNDS = 6
"""Signs of life of a machine at most."""

CENT = 0.01
"""Dollars by which rounding of times may change a sum."""


@dataclass
class Rented:
    """A machine as its cloud bills it: from its launch to its end, by the one true clock."""

    machine: Machine
    launched: float
    clock: Callable[[], float]
    programs: list[Writer] = field(default_factory=list[Writer])
    acknowledged: float | None = None
    """Time up to which an acknowledged sign of life says that the machine was alive."""
    ended: float | None = None

    def dollars(self, until: float) -> float:
        return max(0.0, until - self.launched) / 3600 * self.machine.dollars_per_hour


class SteppedMeter(Meter):
    """The real meter's books, kept by a program of the world instead of a thread of its own."""

    def __init__(self, world: World, writer: Writer, rented: Rented) -> None:
        super().__init__(Bucket(world, writer), "r", 0.0, "run", asked=(), clock=rented.clock)
        self._world, self._writer, self._rented = world, writer, rented
        self._rounds, self._entered = 0, 0.0
        self._reader.workers = 1

    def keep(self) -> None:
        self._keep_books()

    def leave(self) -> None:
        """Stop, as the stage does at its end."""
        self._stopping.set()

    def _identify(self) -> Machine:
        return self._rented.machine

    def _enter(self, started: bool, last: bool) -> None:
        super()._enter(started, last)
        self._entered = self._world.now

    def _warn_on_error(self, call: Callable[[], None]) -> bool:
        done = super()._warn_on_error(call)
        if done and call == self._ledger.flush:
            self._rented.acknowledged = self._entered
        return done

    def _until_next(self) -> float:
        for _ in range(self._world.rng.choice([1, 3])):
            self._writer.request()
        self._rounds += 1
        if self._rounds == ROUNDS:
            self.leave()
        return 0.0


def rent(world: World, number: int) -> Rented:
    """A machine whose clock is wrong, and is set to another time while it works."""
    rng = world.rng
    skew, jump, at = rng.choice([-1, 1]) * rng.choice(SKEWS), rng.choice(SKEWS), world.now + rng.choice([10.0, 100.0])
    clock = SteadyClock(lambda: world.now + skew + (jump if world.now > at else 0.0), lambda: world.now)
    known = rng.random() < 0.5
    launched = world.now - (rng.choice([0.0, 200.0]) if known else 0.0)
    machine = Machine(
        f"i-{number}",
        since=launched if known else clock(),
        ahead=clock() - world.now if known else 0.0,
        dollars_per_hour=rng.choice([1.0, 100.0]),
    )
    return Rented(machine, launched, clock)


def play_spending(rng: Random, folder: Path) -> None:
    """Play one schedule; a machine's end takes its stage and its meter at once."""
    del folder
    world = World(rng, faults=rng.choice([0.0, 0.05, 0.2]))
    fleet = [rent(world, number) for number in range(rng.choice([1, 2, 3]))]
    for rented in fleet:
        _work(world, rented)
    reader, events, known = LedgerReader(Bucket(world), "r", workers=1), list[Event](), 0.0

    def look() -> None:
        nonlocal known
        for rented in fleet:
            for program in rented.programs:
                program.killed = program.killed or any(other.killed for other in rented.programs)
            if rented.ended is None and all(program.ended for program in rented.programs):
                rented.ended = world.now
        events.extend(reader.new_events())
        dollars = spent(events)
        if dollars < known - CENT:
            raise ViolationError(Rule.SPEND_NEVER_FALLS, f"from ${known:.4f} to ${dollars:.4f}")
        known = max(known, dollars)
        most = sum(rented.dollars(rented.ended or world.now) for rented in fleet)
        if dollars > most + CENT:
            raise ViolationError(Rule.SPEND_NEVER_JUMPS, f"${dollars:.4f}, where ${most:.4f} was billed")
        least = sum(rented.dollars(rented.acknowledged) for rented in fleet if rented.acknowledged)
        if dollars < least - CENT:
            raise ViolationError(Rule.SPEND_COUNTS, f"${dollars:.4f}, where ${least:.4f} was acknowledged")
        if rng.random() < 0.05:
            quick = spent(LedgerReader(Bucket(world), "r", ticks=1, workers=1).new_events())
            if quick < least - CENT:
                raise ViolationError(Rule.SPEND_COUNTS, f"${quick:.4f} by the newest signs alone, not ${least:.4f}")

    world.play(kills=world.faults / 20, look=look)


def _work(world: World, rented: Rented) -> None:
    """Let a stage work on a machine, and a meter beside it."""

    def stage(writer: Writer) -> None:
        store = Bucket(world, writer)
        try:
            lease = Lease.take(store, "r")
            meter.use_epoch(lease.epoch)
            ledger = Ledger(store, "r", lease.epoch, rented.clock)
            for step in range(4):
                with suppress(StoreError):
                    ledger.progress(step=step, total=4)
                lease.check()
            ledger.append("stage_finished", seconds=1.0)
        except (StoreError, RefusedError):
            pass
        meter.leave()

    # Neither begins before the world lets it go on.
    rented.programs += [
        Writer(world, f"stage of {rented.machine.id}", stage),
        beside := Writer(world, f"meter of {rented.machine.id}", lambda writer: meter.keep()),
    ]
    meter = SteppedMeter(world, beside, rented)

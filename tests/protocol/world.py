"""A simulated bucket and its writers, of which one runs at a time: a seed decides who, and what goes wrong."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from cortex.artifacts.lease import CHECK_SECONDS
from cortex.artifacts.manifest import MANIFEST
from tests.protocol.rules import Rule, ViolationError

STEPS = 4000
"""Most requests of one schedule, several times those of the longest right one: a program with more runs in circles."""

CHANGES_WITHIN = 60
"""Steps within which a schedule by priority pauses its writers: about as many as two of them take."""

ANSWER_SECONDS = 30.0
"""Longest time that a program may compute between two requests."""


class Killed(BaseException):
    """The writer's machine is gone."""


@dataclass(frozen=True)
class Write:
    """A request to write that was sent: it lands now, later, or never."""

    key: str
    data: bytes
    conditional: bool
    writer: "Writer"
    sent: float
    since_taken: int | None
    """The writer's own count, when the write was sent."""


class World:
    """The objects of a bucket, their past, and the rules that every step is checked against."""

    def __init__(self, rng: Random, faults: float, *, conditional: bool = True) -> None:
        self.rng, self.faults, self.conditional, self.now = rng, faults, conditional, 1e9
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.past: list[dict[str, tuple[bytes, float]]] = [{}]
        self.first: dict[str, bytes] = {}
        """The first content of each object that is written once."""
        self.late: list[Write] = []
        """Writes still under way, though their writers were killed, or have given them up."""
        self.writers: list[Writer] = []
        self.damaged = False
        """True once the bucket stored other bytes than it was given."""
        self.overtaken = False
        """True once a writer that had lost the run wrote a file, as it may while it cannot know."""

    def play(self, *, kills: float, look: Callable[[], None] = lambda: None) -> None:
        """Let the programs run to their ends, one request of one of them at a time, and look after each."""
        choose = self.rng.choice([self._at_random, self._by_priority])()
        try:
            for _ in range(STEPS):
                waiting = [writer for writer in self.writers if not writer.ended]
                if not waiting:
                    break
                self.now += self.rng.choice([0.0, 0.1, 1.0, 30.0])
                if self.late and self.rng.random() < 0.1:
                    self.land(self.late.pop(self.rng.randrange(len(self.late))))
                choose(waiting).step(kill=self.rng.random() < kills)
                self._look()
                look()
            else:
                raise ViolationError(Rule.ENDS, f"{STEPS:,} requests, and no end")
            while self.late:
                self.land(self.late.pop(self.rng.randrange(len(self.late))))
            self._look()
            look()
        finally:
            for writer in self.writers:
                writer.end()

    def _at_random(self) -> "Choice":
        """Any writer next, or the same one for a while."""
        stay, current = self.rng.choice([0.0, 0.8]), self.writers[0]

        def choose(waiting: Sequence[Writer]) -> Writer:
            nonlocal current
            if current not in waiting or self.rng.random() >= stay:
                current = self.rng.choice(waiting)
            return current

        return choose

    def _by_priority(self) -> "Choice":
        """The first in a random order, moved to the end of it at a few random steps: so one writer is paused at any one
        point while the others go on to their ends.

        Source: Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, 2010.
        """
        order = self.rng.sample(self.writers, len(self.writers))
        changes = {self.rng.randrange(CHANGES_WITHIN) for _ in range(self.rng.choice([1, 2, 3]))}
        steps = count()

        def choose(waiting: Sequence[Writer]) -> Writer:
            current = next(writer for writer in order if writer in waiting)
            if next(steps) in changes:
                order.remove(current)
                order.append(current)
            return current

        return choose

    def land(self, write: Write) -> bool:
        """Let a write reach the bucket; True where it created its object."""
        there = self.objects.get(write.key)
        if there is not None and write.conditional and self.conditional:
            return False
        if "/lease/" in write.key and there is None:
            self._take(write)
        if "/a/" in write.key and write.writer.taken is not None:
            self._require_leave(write, write.writer.taken)
        self.objects = {**self.objects, write.key: (write.data, self.now)}
        self.past.append(self.objects)
        return there is None

    def _require_leave(self, write: Write, taken: float) -> None:
        """Refuse a write whose writer could have known, when it sent it, that somebody else had taken the run."""
        self.overtaken = True
        if not write.since_taken:
            return  # it was under way then
        late = write.sent - taken
        if write.key.endswith(f"/{MANIFEST}") or late > CHECK_SECONDS:
            raise ViolationError(Rule.ONE_WRITER, f"{write.writer.name} put {write.key} {late:g} s after the takeover")

    def _take(self, write: Write) -> None:
        epoch = int(write.key.rpartition("/")[2])
        if epoch != 1 + sum("/lease/" in known for known in self.objects):
            raise ViolationError(Rule.NO_GAP, f"epoch {epoch} was taken")
        for other in self.writers:
            if other.taken is None:
                other.taken, other.since_taken = self.now, 0
        write.writer.taken = write.writer.since_taken = None

    def _look(self) -> None:
        for key, (data, _) in self.objects.items():
            if _is_written_once(key):
                self.first.setdefault(key, data)
        for key, data in self.first.items():
            if key not in self.objects or self.objects[key][0] != data:
                raise ViolationError(Rule.WRITTEN_ONCE, key)
        for writer in self.writers:
            if writer.failure:
                raise writer.failure


Choice = Callable[[Sequence["Writer"]], "Writer"]
"""Chooses the next of the waiting writers."""


def _is_written_once(key: str) -> bool:
    return key.endswith((f"/{MANIFEST}", "/profile.json")) or "/lease/" in key or "/ledger/" in key


class Writer:
    """A program in a thread of its own, which stops at each request until it is let go."""

    def __init__(self, world: World, name: str, program: Callable[["Writer"], None]) -> None:
        self.world, self.name, self.ended, self.killed = world, name, False, False
        self.failure: ViolationError | None = None
        self.taken: float | None = None
        """Time at which somebody else took the run; None while nobody has."""
        self.since_taken: int | None = None
        """Number of requests that it began since then."""
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        world.writers.append(self)
        threading.Thread(target=self._run, args=(program,), name=name, daemon=True).start()
        self._wait()

    def step(self, *, kill: bool = False) -> None:
        """Let it make the request at which it waits, and run to its next one, or kill it there."""
        self.killed = self.killed or kill
        self._go.release()
        self._wait()

    def end(self) -> None:
        """Kill it, unless it has ended."""
        while not self.ended:
            self.step(kill=True)

    def request(self, key: str = "", data: bytes | None = None, *, conditional: bool = False) -> Write | None:
        """Wait for leave to make a request. The caller lands the write, if there is one.

        A program killed here may have sent the request all the same, which then lands later, or never.
        """
        if self.killed:
            raise Killed
        sent = self.world.now
        self._back.release()
        self._go.acquire()
        write = None if data is None else Write(key, data, conditional, self, sent, self.since_taken)
        if self.killed:
            if write:
                self.lose(write)
            raise Killed
        return write

    def lose(self, write: Write) -> None:
        """Get no answer to a write: it is lost, or lands later."""
        if self.world.rng.random() < 0.5:
            self.world.late.append(write)

    def began(self) -> None:
        """Count a request that began after somebody else took the run."""
        if self.since_taken is not None:
            self.since_taken += 1

    def _wait(self) -> None:
        if not self._back.acquire(timeout=ANSWER_SECONDS):
            self.ended = True  # so that nobody waits for it again
            raise ViolationError(Rule.ENDS, f"{self.name} computes for {ANSWER_SECONDS:g} s without a request")

    def _run(self, program: Callable[["Writer"], None]) -> None:
        try:
            self.request()
            program(self)
        except Killed:
            pass
        except ViolationError as error:
            self.failure = error
        except Exception as error:
            self.failure = ViolationError(Rule.NO_SURPRISE, f"{self.name}: {type(error).__name__}: {error}")
            self.failure.__cause__ = error
        self.ended = True
        self._back.release()

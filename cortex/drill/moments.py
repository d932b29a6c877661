"""Events on a machine: a kill, a notice, a hang, a full disk, a second instance, an upload that the bucket altered."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cortex.drill.attempts import Attempt, Outcome, Runner, kill
from cortex.drill.bench import Bench
from cortex.drill.breaks import Break
from cortex.drill.faults import WEIGHTS, file_of, zero_half
from cortex.drill.s3 import serving
from cortex.drill.sides import Kit, KitFromS3, Side
from cortex.drill.small_disk import SmallDisk


@dataclass(frozen=True)
class Place:
    """One interrupted machine of one side, with the runner that starts programs on it."""

    bench: Bench
    side: Side
    machine: Path
    runner: Runner

    @property
    def following(self) -> int:
        """The step of the next checkpoint."""
        return self.bench.standin.newest + self.bench.standin.section.save_steps

    def run_until_done(self, *, silence: Break | None = None) -> Outcome:
        return self.runner.run_until_done(self.side, self.machine, silence=silence)


Trial = Callable[[Place], Outcome]
"""Takes a machine through a case, to its end."""


def start_again(place: Place) -> Outcome:
    """Start the same program again."""
    return place.run_until_done()


def kill_in_save(place: Place) -> Outcome:
    """Kill it when all of the next checkpoint but the trainer's state is written."""
    return _killed(place, place.bench.stop(place.machine, rf"checkpoint-{place.following}/trainer_state", at="writes"))


def kill_in_commit(place: Place) -> Outcome:
    """Kill it when the next checkpoint is hashed, just before the rename."""
    return _killed(place, place.bench.stop(place.machine, rf"checkpoints/{place.following}$", at="renames"))


def kill_after_last_save(place: Place) -> Outcome:
    """Kill it when the last step is made and all checkpoints are saved, but not the model itself."""
    one = place.bench.stop(place.machine, "train_runtime")
    with place.runner.start(place.side, place.machine, place.machine / "killed.log", one) as process:
        place.runner.until(one, process)
        place.bench.settled(place.side, place.machine, place.following, process)
        kill(process)
    return place.run_until_done()


def give_notice(place: Place) -> Outcome:
    """Send SIGTERM just after a step, with time to leave."""
    one, began = place.bench.step(place.machine, place.bench.standin.reached), time.time()
    with place.runner.start(place.side, place.machine, place.machine / "noticed.log", one) as process:
        place.runner.until(one, process)
        os.killpg(process.pid, signal.SIGTERM)
        if isinstance(place.side, Kit):
            kit = place.side
            place.runner.wait(
                lambda: any(event["event"] == "notice" for event in kit.events(place.machine, began)),
                process,
                "heard the notice",
            )
            one.go_on()
        process.wait(timeout=60)
    return place.run_until_done()


def hang(place: Place) -> Outcome:
    """Let the second step never end. (The first has a limit of its own, as nobody knows how long it takes.)"""
    return place.run_until_done(silence=place.bench.step(place.machine, place.bench.standin.reached + 1))


def fill_disk(place: Place) -> Outcome:
    """Leave room for half of the next checkpoint; then make more."""
    bench, side = place.bench, place.side
    folder = place.machine / ("home" if isinstance(side, Kit) else "saved")
    checkpoint = side.checkpoint(place.machine, bench.standin.newest)
    size = sum(path.stat().st_size for path in checkpoint.rglob("*"))
    log, began = place.machine / "full.log", time.time()
    with SmallDisk(folder) as disk:
        disk.leave(size // 2)
        with place.runner.start(side, place.machine, log) as process:
            while process.poll() is None and not _waits(side, place.machine, began):
                place.runner.pause()
            disk.leave(20 * size)
            while process.poll() is None:
                place.runner.pause()
            code = process.returncode
        if code == 0:
            seen = side.seen(place.machine, log, began)
            return Outcome([Attempt(code, began, seen, None)], side.weights(place.machine))
        return place.run_until_done()


def start_second_instance(place: Place) -> Outcome:
    """Start a second instance of the job while the first is at work."""
    bench, side, second = place.bench, place.side, place.machine.with_name(f"{place.machine.name}-second")
    side.join(place.machine, second)
    one = bench.step(place.machine, bench.standin.reached)
    try:
        with place.runner.start(side, place.machine, place.machine / "first.log", one) as first:
            place.runner.until(one, first)
            began, log = time.time(), second / "attempt-1.log"
            with place.runner.start(side, second, log) as process:
                while process.poll() is None and side.seen(second, log, began).first is None:
                    place.runner.pause()
                one.go_on()
                while process.poll() is None or first.poll() is None:
                    place.runner.pause()
                attempt = Attempt(process.returncode, began, side.seen(second, log, began), None)
        return Outcome([attempt], side.weights(place.machine), [first.returncode])
    finally:
        bench.discard(second)


def alter_upload(place: Place) -> Outcome:
    """Alter the uploaded bytes in the bucket, and start a new machine that has nothing but the bucket."""
    newest = place.bench.standin.newest
    zero_half(file_of(place.side.checkpoint(place.machine, newest), WEIGHTS))
    if not isinstance(place.side, Kit):
        return place.run_until_done()
    shutil.rmtree(place.machine / "home")
    (place.machine / "home").mkdir()
    with serving(place.machine.parent) as client:
        remote = KitFromS3(place.side.standin, place.side.ground, place.side.run, client)
        return replace(place, side=remote).run_until_done()


def _killed(place: Place, one: Break) -> Outcome:
    with place.runner.start(place.side, place.machine, place.machine / "killed.log", one) as process:
        place.runner.until(one, process)
        kill(process)
    return place.run_until_done()


def _waits(side: Side, machine: Path, since: float) -> bool:
    """True once the kit has reported that it waits for room."""
    return isinstance(side, Kit) and any(event["event"] == "trainer_waiting" for event in side.events(machine, since))

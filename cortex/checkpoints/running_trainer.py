"""The trainer under supervision: what it reports, and how it is asked to leave, or is ended."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.committer import Committer, NewCheckpoint
from cortex.checkpoints.follower import dump_stacks
from cortex.checkpoints.gpu_meter import GpuMeter
from cortex.checkpoints.reporter import Reporter
from cortex.checkpoints.watchdog import Watchdog
from cortex.errors import CortexError
from cortex.process import kill_group
from cortex.profiles.trainer_sections import HangLimit
from cortex.runs.metadata.metadata_source import Advice
from cortex.runs.notice import Notice
from cortex.runs.trainer_events import (
    Chosen,
    Event,
    EventPipe,
    Failed,
    Left,
    MisledBy,
    Progressed,
    Saved,
    Saving,
    Started,
    Stepped,
    Stopped,
    Validated,
    Validating,
    Waiting,
)
from cortex.tracking.trackers import Trackers

LOOK_SECONDS = 0.2
"""Seconds between two checks of the notice, the lease and the clock."""

DUMP_SECONDS = 2.0
"""Seconds that a hung trainer has to print its stacks."""

MARGIN_SECONDS = 1.0
"""Seconds before a notice's deadline at which a trainer that has not left is killed."""

_SAID = ("answer_loss", "loss", "reward", "valid", "truncated")
"""Validation metrics that are printed; the ledger has all of them."""


class RunningTrainer:
    """The running trainer: acts on its events, and enters them in the ledger."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        process: "subprocess.Popen[str]",
        events: EventPipe,
        reporter: Reporter,
        trackers: Trackers,
        committer: Committer,
        limit: HangLimit,
    ) -> None:
        self.stage = checkpoints.stage
        self.failure: str | None = None
        """The trainer's own reason for ending."""
        self.unsaved: Path | None = None
        """Step of the checkpoint that it is saving now."""
        self._checkpoints, self._process, self._events = checkpoints, process, events
        self._reporter, self._trackers, self._committer = reporter, trackers, committer
        self._gpus = GpuMeter()
        self._watchdog = Watchdog(limit, time.monotonic())
        self.pids: set[int] = set()
        """Process ids of its ranks that reported that they began to train."""
        self._score: float | None = None
        """Score of the validation after the last step, if there was one."""
        self.left = False
        """True where it saved its step and ended because it was asked to."""
        self.ending: CortexError | None = None
        """The error to end with once it has stopped as asked: the budget's cap, or a move to a cheaper machine."""
        self._notice: Notice | None = None
        self._advised = 0

    def listen(self) -> bool:
        """Wait a little for events and act on them; False once it has ended and all its events are handled."""
        alive = self._process.poll() is None
        self._gpus.sample(time.monotonic())
        for event in self._events.read(LOOK_SECONDS if alive else 0.0):
            self._take(event, time.monotonic())
        return alive

    def pass_on(self, advice: Sequence[Advice]) -> None:
        """Enter the cloud's advance warnings, which do not yet order the machine to leave."""
        for word in advice[self._advised :]:
            self._reporter.append("advice", stage=self.stage, source=word.source, text=word.text)
        self._advised = len(advice)

    def ask_to_leave(self, notice: Notice, leave: Path) -> None:
        """Let it finish its step, save, and end; kill it if that leaves too little time to send the last checkpoint."""
        now = time.monotonic()
        if notice != self._notice:
            self._notice = notice
            leave.touch()
            left = round(notice.deadline - now, 1)
            print(f"{notice.source}: {notice.text}; the trainer saves and leaves within {left:.0f} s", flush=True)
            self._reporter.append("notice", stage=self.stage, source=notice.source, text=notice.text, seconds=left)
        if now > notice.deadline - self._committer.send_seconds - MARGIN_SECONDS:
            kill_group(self._process)

    def ask_to_stop(self, ending: CortexError, leave: Path) -> None:
        """Let it finish its step, save, and end. The machine stays; if the trainer never ends, the meter stops it."""
        if self.ending is None:
            self.ending = ending
            leave.touch()
            print(f"{ending}; the trainer saves and leaves", flush=True)

    def kill(self) -> None:
        kill_group(self._process)

    def hung(self) -> bool:
        return self._notice is None and self._watchdog.overdue(time.monotonic())

    def end_hung(self) -> str:
        """Have every rank print its stacks, and kill all; returns a one-line description of the hang."""
        silence, limit = self._watchdog.silence(time.monotonic()), self._watchdog.limit
        dump_stacks(self.pids, self._events)
        end = time.monotonic() + DUMP_SECONDS
        while time.monotonic() < end and self.listen():
            pass
        kill_group(self._process)
        while self.listen():
            pass
        return f"no step for {silence:.1f} s, where {limit:.1f} s are allowed"

    def _take(self, event: Event, now: float) -> None:
        match event:
            case Started():
                self.pids.add(event.pid)
            case Stepped():
                self._watchdog.step(now)
                self._score = None
            case Progressed():
                values = event.values | self._gpus.since_last()
                self._reporter.progress(event.step, event.total, values)
                self._trackers.add(event.step, values)
            case Validating():
                self._watchdog.pause(now)
            case Validated():
                self._watchdog.resume(now)
                self._score = event.score
                self._reporter.append("validated", stage=self.stage, step=event.step, values=event.values)
                self._trackers.add(event.step, event.values, "validation")
                print(f"{self.stage} step {event.step}: validated: {_in_words(event.values)}", flush=True)
            case Stopped():
                self._reporter.append("stopped_early", stage=self.stage, step=event.step, reason=event.reason)
                print(f"{self.stage} step {event.step}: stopped early: {event.reason}", flush=True)
            case MisledBy() | Chosen():
                self._watchdog.pause(now)  # the best weights are loaded, and the model is written
                self._conclude(event)
            case Saving():
                self._watchdog.pause(now)
                self.unsaved = self._folder(event.step)
            case Saved():
                self._watchdog.resume(now)
                self.unsaved = None
                self._committer.take(NewCheckpoint(self._folder(event.step), event.step, self._score))
            case Left():
                self.left = True
            case Waiting():
                self._watchdog.pause(now)
                self._reporter.append("trainer_waiting", stage=self.stage, reason=event.reason)
            case Failed():
                self.failure = event.reason

    def _conclude(self, event: MisledBy | Chosen) -> None:
        self._reporter.append(event.event, stage=self.stage, **event.model_dump(exclude={"event"}))
        if isinstance(event, Chosen):
            print(f"{self.stage}: the weights of step {event.step} are the best validated", flush=True)

    def _folder(self, step: int) -> Path:
        return self._checkpoints.saving / f"checkpoint-{step}"


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()) if name in _SAID)

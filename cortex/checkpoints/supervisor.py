"""A trainer under supervision: its steps reach the ledger, its saves are committed, and it ends in time.

Seven things end it early: the machine is about to be taken away, or is given up for a cheaper one, another process took
the run over, the run has spent its budget, the trainer hangs, another machine of the training leaves or fails, or this
process itself is ended. Checkpoints saved by then are committed; the same command goes on from there.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.committer import Committer, NewCheckpoint
from cortex.checkpoints.follower import dump_stacks, follow_trainer
from cortex.checkpoints.gpu_meter import GpuMeter
from cortex.checkpoints.peers import Peers
from cortex.checkpoints.reporter import Reporter
from cortex.checkpoints.rules import RULES_VARIABLE, TrainingRules
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.checkpoints.watchdog import Watchdog
from cortex.errors import ConfigError, CortexError, HungError, PreemptedError, StageError
from cortex.process import kill_group, running
from cortex.profiles.trainer_sections import HangLimit
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.ledger import LedgerReader
from cortex.runs.metadata.metadata_source import Advice
from cortex.runs.notice import Notice, Watch
from cortex.runs.trainer_events import (
    LEAVE_VARIABLE,
    PIPE_VARIABLE,
    Chosen,
    Event,
    EventPipe,
    Failed,
    Left,
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
from cortex.tracking.keeper import Keeper
from cortex.tracking.trackers import Trackers

LOOK_SECONDS = 0.2
"""Seconds between two checks of the notice, the lease and the clock."""

SETTLE_SECONDS = 600.0
"""Seconds to wait, once a trainer ended by itself, until its checkpoints are committed and sent."""

DUMP_SECONDS = 2.0
"""Seconds that a hung trainer has to print its stacks."""

MARGIN_SECONDS = 1.0
"""Seconds before a notice's deadline at which a trainer that has not left is killed."""

_SAID = ("answer_loss", "loss", "reward", "valid", "truncated")
"""Validation metrics that are printed; the ledger has all of them."""

PEER_SECONDS = 15.0
"""Seconds that the local trainer has to report its own error, once it has failed on another machine."""

HANGS = 3
"""Number of hangs since the same checkpoint after which a trainer is not restarted automatically."""


def run_trainer(
    context: RunContext,
    checkpoints: Checkpoints,
    command: Sequence[str | Path],
    limit: HangLimit,
    watch: Callable[[], Watch] = Watch,
    rules: TrainingRules | None = None,
) -> None:
    """Run a trainer, which saves to `checkpoints.saving`, to its end. It writes to this process's output.

    `rules` say when it validates and stops; without them it makes all its steps, and its last weights are the model.
    Of several machines the leader commits what the trainer saves; the others only run their share of it.

    Raises:
        PreemptedError: the machine is being taken away; its progress is committed, and sent if there was time.
        BudgetError: the run has reached its cap; its progress is committed, and sent.
        MovedError: it is to go on on a cheaper machine; its progress is committed, and sent.
        RefusedError: another process took the run over.
        HungError: it made no step for longer than `limit`.
        StageError, ConfigError: it failed.
    """
    if isinstance(context.gang, Follower):
        follow_trainer(context, context.gang, checkpoints.stage, command, rules or TrainingRules(), watch)
        return
    leave = context.folder(checkpoints.stage) / "leave"
    leave.unlink(missing_ok=True)
    variables = {
        LEAVE_VARIABLE: str(leave),
        PIPE_VARIABLE: str(context.folder(checkpoints.stage) / "events"),
        RULES_VARIABLE: (rules or TrainingRules()).model_dump_json(),
    }
    environment = trainer_environment(context.profile) | variables
    sys.stdout.flush()
    peers = Peers(context.gang)
    if context.gang:
        environment |= context.gang.node.network_variables()
        context.gang.assemble(context.lease.throttled_check())
    with (
        Reporter(context) as reporter,
        Keeper(context, checkpoints.stage),
        Trackers(context, checkpoints.stage, checkpoints.resumed, reporter.append) as trackers,
        Committer(checkpoints, context.profile.hardware.processes, reporter.append, reporter.settle) as committer,
        watch() as notices,
        context.lease.watch() as require_lease,
        EventPipe(Path(variables[PIPE_VARIABLE])) as events,
        running(command, env=environment, stderr=subprocess.STDOUT) as process,
    ):
        trainer = _Trainer(checkpoints, process, events, reporter, trackers, committer, limit)
        while trainer.listen():
            require_lease()
            committer.require()
            reporter.require()
            trainer.pass_on(notices.advice)
            peers.listen()
            notice = peers.first(notices.notice)
            if notice:
                trainer.ask_to_leave(notice, leave)
            if context.meter and (ending := context.meter.ending):
                trainer.ask_to_stop(ending, leave)
            if peers.failed_for(PEER_SECONDS) and not (notice or trainer.ending):
                kill_group(process)  # without its peer it will not make another step
            if trainer.hung():
                if context.gang:
                    context.gang.dump()
                reason = trainer.end_hung()
                committer.settle(SETTLE_SECONDS)
                raise _hung(context, checkpoints, reason)
        peers.listen()
        _conclude(trainer, process.wait(), peers.first(notices.notice), peers, committer, reporter)


class _Trainer:
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
            case Chosen():
                self._watchdog.pause(now)  # its weights are loaded, and the model is written
                self._reporter.append("chosen", stage=self.stage, step=event.step, score=event.score)
                print(f"{self.stage}: the weights of step {event.step} are the best validated", flush=True)
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

    def _folder(self, step: int) -> Path:
        return self._checkpoints.saving / f"checkpoint-{step}"


def _conclude(
    trainer: _Trainer, code: int, notice: Notice | None, peers: Peers, committer: Committer, reporter: Reporter
) -> None:
    """Commit what was saved, and raise the error that the trainer ended with, if any."""
    if code == 0 and not trainer.pids:
        raise StageError(
            f"{trainer.stage}: the trainer ended well without a word from the kit's callback, so that none of its "
            "checkpoints was kept: it has to be able to import cortex; its log says more"
        )
    if code == 0:
        committer.settle(SETTLE_SECONDS, sent=False)  # the stage's own artifact is sent next
        committer.require()
        return
    if notice:
        sent = committer.settle(max(0.0, notice.deadline - time.monotonic()))
        reporter.append("preempted", stage=trainer.stage, source=notice.source, settled=sent)
        safe = "all it had saved is safe" if sent else "the checkpoint before stays the newest in the bucket"
        left = PreemptedError(f"{trainer.stage}: {notice.source}: the trainer left, {safe}; the same command continues")
        left.gone_by = notice.gone_by
        raise left
    committer.settle(SETTLE_SECONDS)
    committer.require()
    if trainer.ending and trainer.left:
        raise trainer.ending
    failure = trainer.failure or (trainer.unsaved and _lack_of_room(trainer.unsaved))
    if failure:
        raise ConfigError(f"{trainer.stage}: {failure}")
    if peers.failure:
        if isinstance(peers.failure, PreemptedError):
            reporter.append("preempted", stage=trainer.stage, source="node", settled=True)
        raise peers.failure
    raise StageError(f"{trainer.stage}: the trainer exited with {code}; its log says why")


def _in_words(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(values.items()) if name in _SAID)


def _lack_of_room(unsaved: Path) -> str | None:
    """Message where a save broke off on a full disk: less is free than the save had written by then."""
    written = sum(path.stat().st_size for path in unsaved.rglob("*") if path.is_file())
    free = shutil.disk_usage(unsaved.parent).free
    if free > written:
        return None
    return (
        f"{unsaved}: the disk is full ({free / 2**30:.1f} GiB free), so it was not saved: give the machine a larger "
        "disk_size, or free some; the same command goes on from the checkpoint before"
    )


def _hung(context: RunContext, checkpoints: Checkpoints, reason: str) -> CortexError:
    """The error to end with, entered in the ledger: restart the stage, or, after several hangs, do not."""
    start = checkpoints.resumed
    context.ledger.append("hung", stage=checkpoints.stage, reason=reason, resumed=start)
    events = LedgerReader(context.store, context.run).new_events()
    hangs = [
        event
        for event in events
        if (event["event"], event.get("stage"), event.get("resumed")) == ("hung", checkpoints.stage, start)
    ]
    if len(hangs) < HANGS:
        return HungError(f"{checkpoints.stage}: {reason}; the log has every stack; the same command continues")
    return StageError(
        f"{checkpoints.stage}: hung {len(hangs)} times without a new checkpoint ({reason}): read the stacks in its "
        "log, or give hang_limit more time in the profile"
    )

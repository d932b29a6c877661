"""A trainer under supervision: its steps reach the ledger, its saves are committed, and it ends in time.

Seven things end it early: the machine is about to be taken away, or is given up for a cheaper one, another process took
the run over, the run has spent its budget, it hangs, another machine that trains with this one leaves or fails, or this
process itself is ended. What it had saved by then is committed; the same command goes on from there.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cortex.errors import ConfigError, CortexError, HungError, PreemptedError, StageError
from cortex.process import kill_group, running
from cortex.runs.clouds.source import Advice
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.ledger import LedgerReader
from cortex.runs.notice import Notice, Watch
from cortex.runs.trainers import HangLimit
from cortex.training.checkpoints import Checkpoints
from cortex.training.committer import Committer, NewCheckpoint
from cortex.training.events import (
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
from cortex.training.follower import dump_stacks, follow_trainer
from cortex.training.gpu_meter import GpuMeter
from cortex.training.launch import trainer_environment
from cortex.training.peers import Peers
from cortex.training.reporter import Reporter
from cortex.training.rules import RULES_VARIABLE, TrainingRules
from cortex.training.tracking.keeper import Keeper
from cortex.training.tracking.trackers import Trackers
from cortex.training.watchdog import Watchdog

LOOK_SECONDS = 0.2
"""How often the notice, the lease and the clock are looked at."""

SETTLE_SECONDS = 600.0
"""How long a trainer that ended by itself is waited for, until all that it saved is committed and sent."""

DUMP_SECONDS = 2.0
"""How long a hung trainer has to say where it hangs."""

MARGIN_SECONDS = 1.0
"""What is left of a notice's time, at least, when the trainer is ended for not having left."""

_SAID = ("answer_loss", "loss", "reward", "valid", "truncated")
"""What of a validation is printed; the ledger has it all."""

PEER_SECONDS = 15.0
"""How long the trainer here has to say by itself why it failed, once it has on another machine."""

HANGS = 3
"""A trainer that hung so often since the same checkpoint is not begun again by itself."""


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
    Of several machines the one that leads keeps what the trainer saves; each other only runs its share of it.

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
        context.gang.assemble(context.lease.checked())
    with (
        Reporter(context) as reporter,
        Keeper(context, checkpoints.stage),
        Trackers(context, checkpoints.stage, checkpoints.resumed, reporter.append) as trackers,
        Committer(checkpoints, context.profile.hardware.processes, reporter.append, reporter.settle) as committer,
        watch() as notices,
        context.lease.watched() as require_lease,
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
    """The program under way: what it tells is acted on, and entered in the ledger."""

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
        """Why it ended itself, in its own words."""
        self.unsaved: Path | None = None
        """The checkpoint that it is in the middle of saving."""
        self._checkpoints, self._process, self._events = checkpoints, process, events
        self._reporter, self._trackers, self._committer = reporter, trackers, committer
        self._gpus = GpuMeter()
        self._watchdog = Watchdog(limit, time.monotonic())
        self.pids: set[int] = set()
        """Its processes, of which each said that it began to train."""
        self._score: float | None = None
        """The validation's, of the step that was made last, if there was one."""
        self.left = False
        """True where it ended itself because it was asked to, with all of that step saved."""
        self.ending: CortexError | None = None
        """Why it was asked to stop: the cap, or a try at a cheaper machine."""
        self._notice: Notice | None = None
        self._advised = 0

    def listen(self) -> bool:
        """Act on what it tells, waiting for it a little; False once it has ended, and all that it told is heard."""
        alive = self._process.poll() is None
        self._gpus.sample(time.monotonic())
        for event in self._events.read(LOOK_SECONDS if alive else 0.0):
            self._take(event, time.monotonic())
        return alive

    def pass_on(self, advice: Sequence[Advice]) -> None:
        """Enter what the cloud foretells, and does not yet order."""
        for word in advice[self._advised :]:
            self._reporter.append("advice", stage=self.stage, source=word.source, text=word.text)
        self._advised = len(advice)

    def ask_to_leave(self, notice: Notice, leave: Path) -> None:
        """Let it finish its step, save, and go; end it where that takes too long, for the last checkpoint's sake."""
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
        """Let it finish its step, save, and go. Nothing is taken away: the meter sees to it that this has an end."""
        if self.ending is None:
            self.ending = ending
            leave.touch()
            print(f"{ending}; the trainer saves and leaves", flush=True)

    def hung(self) -> bool:
        return self._notice is None and self._watchdog.overdue(time.monotonic())

    def end_hung(self) -> str:
        """Have every rank say where it is, and end them all; what happened, in a line."""
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
    """Bring in what was saved, and say how the trainer ended."""
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
    """What to say where a save broke off on a full disk: no more is free than it had written by then."""
    written = sum(path.stat().st_size for path in unsaved.rglob("*") if path.is_file())
    free = shutil.disk_usage(unsaved.parent).free
    if free > written:
        return None
    return (
        f"{unsaved}: the disk is full ({free / 2**30:.1f} GiB free), so it was not saved: give the machine a larger "
        "disk_size, or free some; the same command goes on from the checkpoint before"
    )


def _hung(context: RunContext, checkpoints: Checkpoints, reason: str) -> CortexError:
    """The error to end with, entered in the ledger: run me again, or, after a few times, do not."""
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

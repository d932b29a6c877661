"""A trainer under supervision: its steps reach the ledger, its saves are committed, and it ends in time.

Seven things end it early: the machine is about to be taken away, or is given up for a cheaper one, another process took
the run over, the run has spent its budget, the trainer hangs, another machine of the training leaves or fails, or this
process itself is ended. Checkpoints saved by then are committed; the same command goes on from there.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.committer import Committer
from cortex.checkpoints.follower import follow_trainer
from cortex.checkpoints.peers import Peers
from cortex.checkpoints.reporter import Reporter
from cortex.checkpoints.rules import RULES_VARIABLE, TrainingRules
from cortex.checkpoints.running_trainer import RunningTrainer
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.errors import ConfigError, CortexError, HungError, PreemptedError, StageError
from cortex.process import running
from cortex.profiles.trainer_sections import HangLimit
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader
from cortex.runs.ledger import LedgerReader
from cortex.runs.notice import Notice, Watch
from cortex.runs.trainer_events import LEAVE_VARIABLE, PIPE_VARIABLE, EventPipe
from cortex.tracking.keeper import Keeper
from cortex.tracking.trackers import Trackers

SETTLE_SECONDS = 600.0
"""Seconds to wait, once a trainer ended by itself, until its checkpoints are committed and sent."""

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
    online: bool = False,
) -> None:
    """Run a trainer, which saves to `checkpoints.saving`, to its end. It writes to this process's output.

    `rules` say when it validates and stops; by default it makes all its steps. `online` lets it ask the hub.
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
    environment = trainer_environment(context.profile, online=online) | variables
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
        trainer = RunningTrainer(checkpoints, process, events, reporter, trackers, committer, limit)
        while trainer.listen():
            require_lease()
            committer.require()
            reporter.require()
            trainer.pass_on(notices.advice)
            peers.listen()
            _end_if_it_must(context, trainer, peers, peers.first(notices.notice), leave)
            if trainer.hung():
                raise _end_hung(context, checkpoints, trainer, committer)
        peers.listen()
        _conclude(trainer, process.wait(), peers.first(notices.notice), peers, committer, reporter)


def _end_if_it_must(
    context: RunContext, trainer: RunningTrainer, peers: Peers, notice: Notice | None, leave: Path
) -> None:
    """Ask the trainer to leave its machine, or to stop for the meter; kill it if a peer has failed."""
    if notice:
        trainer.ask_to_leave(notice, leave)
    if context.meter and (ending := context.meter.ending):
        trainer.ask_to_stop(ending, leave)
    if peers.failed_for(PEER_SECONDS) and not (notice or trainer.ending):
        trainer.kill()  # without its peer it will not make another step


def _end_hung(
    context: RunContext, checkpoints: Checkpoints, trainer: RunningTrainer, committer: Committer
) -> CortexError:
    """End a hung trainer on all machines, and commit what it saved; returns the error to end with."""
    if isinstance(context.gang, Leader):
        context.gang.dump()
    reason = trainer.end_hung()
    committer.settle(SETTLE_SECONDS)
    return _hung(context, checkpoints, reason)


def _conclude(
    trainer: RunningTrainer, code: int, notice: Notice | None, peers: Peers, committer: Committer, reporter: Reporter
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

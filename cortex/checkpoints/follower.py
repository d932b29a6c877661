"""A follower node's part of a training: it runs its share of the trainer, and commits nothing itself.

Its processes send what they save to the first node's (`parts.py`); it passes its machine's notices on to the leader.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from cortex.checkpoints.rules import RULES_VARIABLE, TrainingRules
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.errors import StageError
from cortex.process import running
from cortex.runs.context import RunContext
from cortex.runs.gang_follower import Follower
from cortex.runs.notice import Watch
from cortex.runs.trainer_events import LEAVE_VARIABLE, PIPE_VARIABLE, EventPipe, Failed, Started

LOOK_SECONDS = 0.2


def follow_trainer(
    context: RunContext,
    gang: Follower,
    stage: str,
    command: Sequence[str | Path],
    rules: TrainingRules,
    watch: Callable[[], Watch] = Watch,
) -> None:
    """Start the trainer here once all nodes are ready, and run it to its end.

    Raises:
        StageError: it failed.
        CortexError: the leader ended, with the same exit code.
    """
    leave, pipe = context.folder(stage) / "leave", context.folder(stage) / "events"
    leave.unlink(missing_ok=True)
    told = {LEAVE_VARIABLE: str(leave), PIPE_VARIABLE: str(pipe), RULES_VARIABLE: rules.model_dump_json()}
    variables = told | gang.node.network_variables()
    environment = trainer_environment(context.profile) | variables
    gang.ready()
    with (
        watch() as notices,
        EventPipe(pipe) as events,
        running(command, env=environment, stderr=subprocess.STDOUT) as process,
    ):
        pids, failure, known = set[int](), None, None
        while process.poll() is None:
            for event in events.read(LOOK_SECONDS):
                match event:
                    case Started():
                        pids.add(event.pid)
                    case Failed():
                        failure = event.reason
                    case _:
                        pass  # the first process of all tells the leader
            if gang.dump_wanted():
                dump_stacks(pids, events)
            if notices.notice and notices.notice != known:
                known = notices.notice
                # By file and by event: its own processes see the file in any case, and all ranks do as they do.
                leave.touch()
                gang.send_notice(known.source, known.text, known.deadline - time.monotonic())
        code = process.wait()
    if code:
        raise StageError(
            f"{stage}: the trainer exited with {code}{f': {failure}' if failure else ''}; its log says why"
        )


def dump_stacks(pids: set[int], events: EventPipe) -> None:
    """Have every process of the trainer write its stacks."""
    for pid in pids:
        # By now another program may have a reported pid: only a process that holds the pipe is the trainer's.
        with suppress(ProcessLookupError):
            if events.is_held_by(pid):
                os.kill(pid, signal.SIGUSR1)

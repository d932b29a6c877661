"""Committing checkpoints beside the training: one thread hashes and renames them, another sends them to the bucket.

The sender skips a checkpoint once a newer one is committed, so it never lags behind. It never skips the best validated
one, and sends it before anything newer: from whichever checkpoint a machine resumes, the bucket has the best so far.
"""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from loguru import logger

from cortex.checkpoints.checkpoints import Checkpoints
from cortex.errors import CortexError, DataError, RefusedError, StageError

Told = Callable[..., None]
"""Callback for each checkpoint's progress, called as the ledger is: an event's name, then its values."""


@dataclass(frozen=True)
class NewCheckpoint:
    """A checkpoint that a trainer reports as saved."""

    folder: Path
    step: int
    score: float | None


class Committer:
    """Commits and sends a trainer's checkpoints, in order."""

    def __init__(
        self, checkpoints: Checkpoints, ranks: int, told: Told, settle: Callable[[], object] = lambda: None
    ) -> None:
        """`settle` is called before each commit. It brings the measurements up to that step into the ledger: a training
        resumed from there does not make those steps again."""
        self._checkpoints, self._ranks, self._told, self._settle = checkpoints, ranks, told, settle
        self._saved: SimpleQueue[NewCheckpoint | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._uncommitted = 0
        self._to_send: list[int] = []
        """Checkpoints to send: the best, if it is not sent yet, then the newest."""
        self._sending: int | None = None
        self._best: NewCheckpoint | None = None
        """The best score of those that this process committed."""
        self._closed = False
        self._failure: CortexError | None = None
        """The error after which no more is committed or sent."""
        self._send_seconds = 0.0
        # Daemon threads: the process of a machine that goes in a minute must not wait for a ten-minute upload.
        for work in (self._commit_each, self._send_newest) if checkpoints.remote else (self._commit_each,):
            threading.Thread(
                target=self._until_failure, args=(work,), name=work.__name__.strip("_"), daemon=True
            ).start()

    def __enter__(self) -> "Committer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._to_send.clear()
            self._changed.notify_all()
        self._saved.put(None)

    @property
    def send_seconds(self) -> float:
        """Seconds that the last checkpoint took to reach the bucket."""
        return self._send_seconds

    def take(self, saved: NewCheckpoint) -> None:
        """Queue this checkpoint to be committed after those before it."""
        with self._changed:
            self._uncommitted += 1
        self._saved.put(saved)

    def require(self) -> None:
        """Check that checkpoints are still being committed and sent.

        Raises:
            RefusedError: another process has taken the run over.
            CortexError: something failed that no later checkpoint can repair; committed checkpoints are kept.
        """
        if self._failure:
            raise self._failure

    def settle(self, seconds: float, *, sent: bool = True) -> bool:
        """Wait until all queued checkpoints are committed and the newest is sent; False if that takes too long.

        It does not wait for a thread that failed: `require` raises its error.
        """

        def settled() -> bool:
            return self._uncommitted == 0 and not (sent and (self._sending is not None or self._to_send))

        with self._changed:
            self._changed.wait_for(lambda: settled() or self._failure is not None, seconds)
            return settled()

    def _until_failure(self, work: Callable[[], None]) -> None:
        """Body of a thread: an unexpected error is kept for `require` to raise, and ends every wait."""
        try:
            work()
        except (
            BaseException
        ) as error:  # any error ends the thread: if it stayed unseen, the training would go on without checkpoints
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, CortexError):
            kind = type(error).__name__
            logger.opt(exception=error).error("committing checkpoints failed")
            error = StageError(
                f"{self._checkpoints.stage}: checkpoints are no longer kept ({kind}: {error}): the log has the stack; "
                "the same command goes on from the newest that is"
            )
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _commit_each(self) -> None:
        while (saved := self._saved.get()) is not None:
            started = time.monotonic()
            committed = False
            try:
                self._settle()
                self._checkpoints.commit(saved.folder, saved.step, self._ranks, saved.score)
                committed = True
                self._tell("checkpoint_committed", saved.step, seconds=_since(started))
                self._prune()
            except RefusedError as error:
                self._fail(error)
            except (DataError, OSError) as error:
                self._tell("checkpoint_failed", saved.step, reason=f"not committed: {error}")
                # Left there, it would take disk that the next one needs, and a place in the queue.
                shutil.rmtree(saved.folder, ignore_errors=True)
            except BaseException as error:
                if not committed:
                    reason = f"not committed: {type(error).__name__}: {error}"
                    self._tell("checkpoint_failed", saved.step, reason=reason)
                raise
            with self._changed:
                self._uncommitted -= 1
                if committed and self._checkpoints.remote and not self._closed:
                    self._queue(saved)
                self._changed.notify_all()

    def _queue(self, saved: NewCheckpoint) -> None:
        """Send this commit next, after the best if that is still to be sent."""
        if self._is_best(saved):
            self._best = saved
        waiting = [step for step in self._to_send if self._best and step == self._best.step]
        self._to_send = [*waiting, saved.step]

    def _is_best(self, saved: NewCheckpoint) -> bool:
        if saved.score is None:
            return False
        return self._best is None or self._best.score is None or saved.score > self._best.score

    def _prune(self) -> None:
        with self._changed:
            leaving = {self._sending, *self._to_send}
        try:
            self._checkpoints.prune(leaving)
        except RefusedError:
            raise
        except (DataError, OSError) as error:
            logger.warning(f"older checkpoints stay on this machine: {error}")

    def _send_newest(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._to_send or self._closed)
                if not self._to_send:
                    return
                self._sending = step = self._to_send.pop(0)
            started = time.monotonic()
            try:
                self._checkpoints.upload(step)
                self._checkpoints.prune_bucket()
                self._send_seconds = time.monotonic() - started
                self._tell("checkpoint_sent", step, seconds=_since(started))
            except RefusedError as error:
                self._fail(error)
            except (DataError, OSError) as error:
                self._tell("checkpoint_failed", step, reason=f"not sent: {error}")
            except BaseException as error:
                self._tell("checkpoint_failed", step, reason=f"not sent: {type(error).__name__}: {error}")
                raise
            with self._changed:
                self._sending = None
                self._changed.notify_all()

    def _tell(self, event: str, step: int, **values: Any) -> None:
        if "reason" in values:
            logger.warning(f"checkpoint-{step}: {values['reason']}")
        try:
            self._told(event, stage=self._checkpoints.stage, step=step, **values)
        except CortexError as error:
            logger.warning(f"checkpoint-{step}: {event} is not in the ledger: {error}")


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)

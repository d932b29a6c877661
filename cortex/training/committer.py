"""Committing checkpoints beside the training: hashed and renamed by one thread, sent to the bucket by another.

Sending skips what a newer commit has overtaken, so it never lags; but never the best validated one, which is sent
before anything newer: whichever checkpoint a machine continues from, the bucket has the best up to there, too.
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

from cortex.errors import CortexError, DataError, RefusedError, StageError
from cortex.training.checkpoints import Checkpoints

Told = Callable[..., None]
"""Told of what becomes of each checkpoint, as the ledger is: an event's name, then its values."""


@dataclass(frozen=True)
class NewCheckpoint:
    """What a trainer says that it has saved."""

    folder: Path
    step: int
    score: float | None


class Committer:
    """Takes over what a trainer saves, in order."""

    def __init__(
        self, checkpoints: Checkpoints, ranks: int, told: Told, settle: Callable[[], object] = lambda: None
    ) -> None:
        """`settle` is called before each commit: what was measured up to a step has to be in the ledger before anybody
        can go on from it, since those steps are not made again."""
        self._checkpoints, self._ranks, self._told, self._settle = checkpoints, ranks, told, settle
        self._saved: SimpleQueue[NewCheckpoint | None] = SimpleQueue()
        self._changed = threading.Condition()
        self._uncommitted = 0
        self._to_send: list[int] = []
        """The best, if it waits, then the newest."""
        self._sending: int | None = None
        self._best: NewCheckpoint | None = None
        """Of those that this process committed."""
        self._closed = False
        self._failure: CortexError | None = None
        """Why no more will be committed or sent."""
        self._send_seconds = 0.0
        # Daemons: a machine that is taken away in a minute does not wait for an upload that needs ten.
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
        """How long the last checkpoint took to reach the bucket."""
        return self._send_seconds

    def take(self, saved: NewCheckpoint) -> None:
        """Commit this one when those before it are."""
        with self._changed:
            self._uncommitted += 1
        self._saved.put(saved)

    def require(self) -> None:
        """Return while checkpoints are committed and sent.

        Raises:
            RefusedError: another process has taken the run over.
            CortexError: something failed that no later checkpoint can mend; what was committed is kept.
        """
        if self._failure:
            raise self._failure

    def settle(self, seconds: float, *, sent: bool = True) -> bool:
        """Wait until all that was taken is committed, and the newest is sent; True if that is so in time.

        It does not wait for a thread that failed: `require` says why.
        """

        def settled() -> bool:
            return self._uncommitted == 0 and not (sent and (self._sending is not None or self._to_send))

        with self._changed:
            self._changed.wait_for(lambda: settled() or self._failure is not None, seconds)
            return settled()

    def _until_failure(self, work: Callable[[], None]) -> None:
        """The whole of a thread: an error that it does not expect is kept for `require`, and ends every wait."""
        try:
            work()
        except (
            BaseException
        ) as error:  # it ends the thread, whatever it is; in silence, the training would go on unkept
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
                # It would hold disk that the next one needs, and a place in the queue.
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
        """Have a commit sent next, after the best if that waits."""
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

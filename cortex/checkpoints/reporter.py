"""Writing the ledger from a thread of its own, so that a bucket that does not answer never delays the caller."""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from loguru import logger

from cortex.errors import CortexError, StageError
from cortex.runs.context import RunContext


class Reporter:
    """Queues ledger entries and writes them in order; leaving the block waits a while for the last ones."""

    def __init__(self, context: RunContext, *, patience: float = 10.0) -> None:
        self._context = context
        self._patience = patience
        self._told: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="reporter", daemon=True)

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.put(self._context.ledger.flush)  # the ledger holds progress back for the next event: none may come
        self._told.put(None)
        self._thread.join(self._patience)

    def append(self, event: str, **values: Any) -> None:
        """As `Ledger.append`, without waiting."""
        self._told.put(partial(self._context.ledger.append, event, **values))

    def progress(self, step: int, total: int, values: Mapping[str, float]) -> None:
        """As `Ledger.progress`, without waiting."""
        self._told.put(partial(self._context.ledger.progress, step=step, total=total, **values))

    def settle(self, seconds: float = 5.0) -> None:
        """Wait until all entries so far are in the ledger, or until the time is over."""
        written = threading.Event()

        def write() -> None:
            try:
                self._context.ledger.flush()
            finally:
                written.set()

        self._told.put(write)
        written.wait(seconds)

    def require(self) -> None:
        """Check that the ledger is still being written.

        Raises:
            StageError: an unexpected error ended the writing; further entries do not reach the ledger.
        """
        if self._failure:
            kind = type(self._failure).__name__
            raise StageError(f"the ledger of run {self._context.run} is no longer written ({kind}: {self._failure})")

    def _write(self) -> None:
        while (write := self._told.get()) is not None:
            try:
                write()
            except CortexError as error:
                logger.warning(f"{error}: the ledger goes on when the bucket answers")
            except BaseException as error:  # any error ends the thread; `require` raises it
                logger.opt(exception=error).error("writing the ledger failed")
                self._failure = error
                return

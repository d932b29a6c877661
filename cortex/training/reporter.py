"""A ledger that is written beside the work: a bucket that does not answer holds up nobody who tells."""

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
    """Takes what the ledger is told, and writes it in order; leaving waits a while for the last of it."""

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
        self._told.put(self._context.ledger.flush)  # progress is held back for the next event, and there may be none
        self._told.put(None)
        self._thread.join(self._patience)

    def append(self, event: str, **values: Any) -> None:
        """As `Ledger.append`, without waiting."""
        self._told.put(partial(self._context.ledger.append, event, **values))

    def progress(self, step: int, total: int, values: Mapping[str, float]) -> None:
        """As `Ledger.progress`, without waiting."""
        self._told.put(partial(self._context.ledger.progress, step=step, total=total, **values))

    def settle(self, seconds: float = 5.0) -> None:
        """Wait until all that was told so far is in the ledger, or for so long."""
        written = threading.Event()

        def write() -> None:
            try:
                self._context.ledger.flush()
            finally:
                written.set()

        self._told.put(write)
        written.wait(seconds)

    def require(self) -> None:
        """Return while the ledger is being written.

        Raises:
            StageError: something failed that nobody foresaw; nothing that is told reaches the ledger any more.
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
            except BaseException as error:  # it ends the thread, whatever it is: `require` says so
                logger.opt(exception=error).error("writing the ledger failed")
                self._failure = error
                return

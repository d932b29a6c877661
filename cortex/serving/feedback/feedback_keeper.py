"""The part of a gateway that keeps requests to learn from, with what callers post about them."""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, DataError
from cortex.serving.feedback.feedback_bucket import FeedbackBucket
from cortex.serving.feedback.feedback_index import Asked, FeedbackIndex
from cortex.serving.feedback.feedback_log import FeedbackLog
from cortex.serving.feedback.feedback_records import (
    AnswerRecord,
    FeedbackRecord,
    WithdrawalRecord,
    read_record_file,
    to_line,
)
from cortex.serving.serving_settings import ServingSettings

LOOK_SECONDS = 5.0
"""Least seconds between two looks into the bucket for a request that is not known here."""


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class FeedbackKeeper:
    """Feedback of one gateway. Its methods belong to one event loop; files are written by a thread of its own."""

    def __init__(
        self, log: FeedbackLog, store: Store | None, serving: ServingSettings, now: Callable[[], dt.datetime] = utc_now
    ) -> None:
        self._log, self._serving, self.now = log, serving, now
        self._bucket = FeedbackBucket(store.with_patience(Patience(deadline=20.0)), log) if store else None
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self.posting = asyncio.Lock()
        """Held from the look at a request's state to the end of the write that follows from it."""
        self.index = FeedbackIndex()
        self._looked = -LOOK_SECONDS
        self.kept = self.lost = 0
        """Answers whose records were written, and those that the disk or the limit did not take."""
        self._read_own()

    def keep(self, record: AnswerRecord) -> None:
        """Keep an answered request. The answer does not wait for it, and no fault of the disk reaches it."""
        known = self.index.find(record.caller, record.request_id)
        self.index.add(record)
        if known is None or known.ambiguous:
            self._writing.submit(self._write, record)

    async def post(self, record: FeedbackRecord | WithdrawalRecord) -> None:
        """Keep what a caller posted; on return it survives a power cut.

        Raises:
            OSError: it could not be written, and nothing has changed.
        """
        running = asyncio.get_running_loop()
        await running.run_in_executor(self._writing, lambda: self._log.append(to_line(record), durable=True))
        self.index.add(record)

    async def find(self, caller: str, request_id: str) -> Asked | None:
        """The state of a caller's request, also of one that another gateway of the bucket answered."""
        asked = self.index.find(caller, request_id)
        if asked is None and self._bucket and time.monotonic() - self._looked >= LOOK_SECONDS:
            await self._read_others(self._bucket)
            asked = self.index.find(caller, request_id)
        return asked

    @asynccontextmanager
    async def at_work(self) -> AsyncGenerator[None]:
        """Bring files to the bucket and remove old ones, until the gateway ends."""
        working = asyncio.create_task(self._keep_working())
        try:
            yield
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            await asyncio.to_thread(self._writing.shutdown)
            await self._exchange()
            self._log.close()

    async def _keep_working(self) -> None:
        while True:
            await self._exchange()
            await asyncio.sleep(self._serving.feedback_seconds)

    async def _exchange(self) -> None:
        try:
            self._log.expire(self._serving.feedback_days)
            if self._bucket:
                await asyncio.to_thread(self._bucket.send)
                await asyncio.to_thread(self._bucket.expire, self._serving.feedback_days, self.now())
                await self._read_others(self._bucket)
        except (DataError, OSError) as error:
            logger.warning(f"feedback is kept on this machine alone for now: {error}")

    async def _read_others(self, bucket: FeedbackBucket) -> None:
        self._looked = time.monotonic()
        try:
            self.index.add_all(await asyncio.to_thread(lambda: list(bucket.read_others())))
        except DataError as error:
            logger.warning(f"other gateways' feedback cannot be read now: {error}")

    def _write(self, record: AnswerRecord) -> None:
        try:
            self._log.append(to_line(record))
            self.kept += 1
        except OSError as error:
            self.index.forget(record)
            self.lost += 1
            if self.lost == 1:
                logger.warning(f"requests can no longer be kept for feedback: {error}")

    def _read_own(self) -> None:
        unreadable = 0
        for file in self._log.files():
            unreadable += self.index.add_all(read_record_file(file))
        if unreadable:
            logger.warning(f"{self._log.folder}: {unreadable} lines cannot be read, and are passed over")


def open_keeper(home: Path, store: Store | None, serving: ServingSettings) -> FeedbackKeeper | None:
    """The keeper of a gateway whose settings ask for one. `store` is the bucket that its files go to, if any.

    Raises:
        ConfigError: the folder of feedback cannot be made or read.
    """
    if not serving.feedback:
        return None
    root = home.absolute() / "serving/feedback"
    try:
        return FeedbackKeeper(FeedbackLog(root, serving.feedback_bytes, utc_now), store, serving)
    except OSError as error:
        raise ConfigError(
            f"{root} cannot hold feedback: {error.strerror or error}; unset CORTEX_SERVE_FEEDBACK"
        ) from error

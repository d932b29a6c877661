"""Feedback in the bucket: a gateway's files go there, and those of other gateways are read from there."""

import datetime as dt
from collections.abc import Iterator

from cortex.artifacts.store import MissingObjectError, Store
from cortex.limits import LEDGER_BYTES
from cortex.serving.feedback.feedback_log import FeedbackLog, is_expired
from cortex.serving.feedback.feedback_records import Record, read_records

PREFIX = "serving/feedback"
"""The folder of all gateways' files in a bucket: `<gateway>/<day>-<number>.jsonl`."""


class FeedbackBucket:
    """The bucket's side of one gateway's feedback. It is used by one thread at a time."""

    def __init__(self, store: Store, log: FeedbackLog) -> None:
        self._store, self._log = store, log
        self._sent: dict[str, int] = {}
        """Bytes of each own file that the bucket has."""
        self._read: dict[str, int] = {}
        """Bytes of other gateways' files that were read."""

    def send(self) -> None:
        """Write own files that have grown, up to their last whole line.

        Raises:
            DataError: the bucket does not answer.
            OSError: a file cannot be read.
        """
        for file in self._log.files():
            data = file.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) > self._sent.get(file.name, 0):
                self._store.put(f"{PREFIX}/{self._log.gateway}/{file.name}", whole)
                self._sent[file.name] = len(whole)

    def read_others(self) -> Iterator[Record | None]:
        """Records of other gateways that were not read before.

        Raises:
            DataError: the bucket does not answer.
        """
        for entry in self._store.list(PREFIX):
            before = self._read.get(entry.key, 0)
            if entry.key.startswith(f"{PREFIX}/{self._log.gateway}/") or entry.size <= before:
                continue
            try:
                data = self._store.get(entry.key, LEDGER_BYTES)
            except MissingObjectError:
                continue  # expired since it was listed
            self._read[entry.key] = len(data)
            yield from read_records(data[before:])

    def expire(self, days: int, now: dt.datetime) -> None:
        """Remove files of days longer ago, also of gateways that are no more.

        Raises:
            DataError: the bucket does not answer.
        """
        for entry in self._store.list(PREFIX):
            if is_expired(entry.key.rpartition("/")[2], days, now):
                self._store.delete(entry.key)

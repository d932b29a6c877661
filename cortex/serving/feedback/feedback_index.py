"""State of each request that may be learned from, after all of its records."""

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import JsonValue

from cortex.serving.feedback.feedback_records import AnswerRecord, FeedbackRecord, Record, Thumb, WithdrawalRecord


@dataclass
class Posted:
    """Everything that was posted about one request. The first outcome counts, and the newest thumb."""

    thumb: Thumb | None = None
    better: str | None = None
    rated_at: dt.datetime | None = None
    """The time of the newest thumb or better reply."""
    outcome: JsonValue = None
    known_at: dt.datetime | None = None
    """The time from which the outcome was known; None where there is none."""
    contradicted: bool = False
    """Two outcomes were posted that differ."""
    withdrawn: bool = False
    comment: str | None = None

    @property
    def judged(self) -> bool:
        return self.known_at is not None

    def add(self, record: FeedbackRecord | WithdrawalRecord) -> None:
        """Take a record into account."""
        if isinstance(record, WithdrawalRecord):
            self.withdrawn = True
            return
        if (record.thumb or record.better) and (self.rated_at is None or record.posted_at >= self.rated_at):
            self.thumb, self.better, self.rated_at = record.thumb, record.better, record.posted_at
        if record.known_at is not None:
            self.contradicted |= self.contradicts(record.outcome, record.known_at)
            if not self.judged:
                self.outcome, self.known_at = record.outcome, record.known_at
        self.comment = record.comment or self.comment

    def contradicts(self, outcome: JsonValue, known_at: dt.datetime) -> bool:
        """Tell if another outcome, or another time of it, was posted before."""
        return self.judged and (_text(self.outcome), self.known_at) != (_text(outcome), known_at)


@dataclass
class Asked:
    """Knowledge of one request, without its texts."""

    asked_at: dt.datetime
    at: dt.datetime
    """The question's own time."""
    domain: str | None
    model: str
    """Name of the model that answered."""
    fingerprint: str
    ambiguous: bool = False
    """Two requests had this id, and it is not known which one is meant."""
    posted: Posted = field(default_factory=Posted)


class FeedbackIndex:
    """The requests of all callers by id: one caller does not see another's."""

    def __init__(self) -> None:
        self._asked: dict[tuple[str, str], Asked] = {}
        self._early: dict[tuple[str, str], list[FeedbackRecord | WithdrawalRecord]] = {}
        """Records of requests that other files are yet to name."""

    def add_all(self, records: Iterable[Record | None]) -> int:
        """Take the records of a file into account, and return the number of lines that are none."""
        unreadable = 0
        for record in records:
            if record is None:
                unreadable += 1
            else:
                self.add(record)
        return unreadable

    def add(self, record: Record) -> None:
        key = (record.caller, record.request_id)
        asked = self._asked.get(key)
        if not isinstance(record, AnswerRecord):
            if asked:
                asked.posted.add(record)
            else:
                self._early.setdefault(key, []).append(record)
        elif asked:
            asked.ambiguous |= asked.fingerprint != record.fingerprint
        else:
            made = Asked(record.asked_at, record.at or record.asked_at, record.domain, record.model, record.fingerprint)
            self._asked[key] = made
            for early in self._early.pop(key, ()):
                made.posted.add(early)

    def forget(self, record: AnswerRecord) -> None:
        """Remove a request whose record could not be kept."""
        self._asked.pop((record.caller, record.request_id), None)

    def find(self, caller: str, request_id: str) -> Asked | None:
        return self._asked.get((caller, request_id))


def _text(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)

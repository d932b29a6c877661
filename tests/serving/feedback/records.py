"""Records of feedback for tests."""

import datetime as dt
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.markets.domain import Markets
from cortex.serving.feedback.feedback_records import AnswerRecord, FeedbackRecord, Turn, WithdrawalRecord

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)

MARKET: Domain = Markets.model_validate(
    {"kind": "markets", "style": "compact", "source": {"kind": "simulator", "chains": 2, "days": 300}}
)


def answer(request_id: str = "a", **values: Any) -> AnswerRecord:
    """An answered forecast, asked at NOW."""
    given: dict[str, Any] = {
        "caller": "ada",
        "asked_at": NOW,
        "domain": "markets",
        "form": MARKET.outcomes().form,
        "messages": (Turn(role="user", content=f"NEAR 1d {request_id}"),),
        "reply": f"reply to {request_id}",
        "values": {"symbol": "NEAR", "mom7": 0.5},
        "model": "small",
        "copy": "model",
        "manifest": "ab" * 32,
    }
    return AnswerRecord(request_id=request_id, **{**given, **values})


def outcome(
    request_id: str = "a", pct: float = 1.5, known_at: dt.datetime = NOW + DAY, **values: Any
) -> FeedbackRecord:
    """A realised return, posted as soon as it was known."""
    given: dict[str, Any] = {"caller": "ada", "posted_at": known_at, "outcome": {"return_pct": pct}, **values}
    return FeedbackRecord(request_id=request_id, known_at=known_at, **given)


def rating(request_id: str = "a", posted_at: dt.datetime = NOW + DAY, **values: Any) -> FeedbackRecord:
    """A thumb or a better reply."""
    return FeedbackRecord(request_id=request_id, caller="ada", posted_at=posted_at, **values)


def withdrawal(request_id: str = "a") -> WithdrawalRecord:
    return WithdrawalRecord(request_id=request_id, caller="ada", posted_at=NOW + 2 * DAY)

"""Routes of feedback: callers post outcomes, thumbs and better replies, and take their consent back."""

import datetime as dt
import json
from typing import Annotated, Self

from fastapi import APIRouter, Path, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, model_validator

from cortex.errors import DataError
from cortex.serving.callers import Caller, FeedbackCaller
from cortex.serving.feedback.feedback_index import Asked, Posted
from cortex.serving.feedback.feedback_keeper import FeedbackKeeper
from cortex.serving.feedback.feedback_records import FeedbackRecord, Thumb, WithdrawalRecord
from cortex.serving.refusals import Refusal
from cortex.serving.service import Service, service_of

CLOCKS_DIFFER = dt.timedelta(minutes=1)
"""Difference between a caller's clock and the gateway's that is passed over."""

OUTCOME_LETTERS = 10_000

RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]

router = APIRouter(prefix="/v1", tags=["feedback"])


class FeedbackRequest(BaseModel):
    """Feedback on one answered request."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    request_id: RequestId
    """`request_id` of the answer, or its header X-Request-Id."""
    consent: bool
    """True allows a model to be trained on this; false takes back what was allowed before."""
    thumb: Thumb | None = None
    """`up`: the reply is worth imitating."""
    better: str | None = Field(default=None, min_length=1, max_length=100_000)
    """A reply that would have been better."""
    outcome: JsonValue = None
    """The true outcome, in the form of the domain."""
    known_at: AwareDatetime | None = None
    """The time from which the outcome was known, with its offset from UTC."""
    comment: str | None = Field(default=None, max_length=2000)
    """Words for people; no model is trained on them."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        told = (self.thumb, self.better, self.outcome, self.comment)
        if self.consent and not any(value is not None for value in told):
            raise ValueError("post a thumb, a better reply, an outcome or a comment")
        if self.thumb == "up" and self.better is not None:
            raise ValueError("a reply that is worth imitating needs no better one: leave out thumb or better")
        if (self.outcome is None) != (self.known_at is None):
            raise ValueError("an outcome and the time from which it was known, known_at, belong together")
        return self


class FeedbackState(BaseModel):
    """Everything that is kept about one request after a post."""

    request_id: str
    thumb: Thumb | None = None
    better: bool = False
    outcome: bool = False
    withdrawn: bool = False
    words: str


@router.post("/feedback", responses={409: {"description": "It contradicts an earlier outcome, or came too late."}})
async def post_feedback(request: Request, body: FeedbackRequest, caller: FeedbackCaller) -> FeedbackState:
    """Say how an answer of yours fared. Posting the same twice changes nothing."""
    service = service_of(request)
    keeper = _keeper(service)
    async with keeper.posting:
        asked = await _find(keeper, caller, body.request_id)
        if not body.consent:
            return await _withdraw(keeper, caller, body.request_id, asked)
        if asked.posted.withdrawn:
            raise Refusal(409, "consent to this request was taken back, for good: ask again")
        if asked.ambiguous:
            raise Refusal(409, "two requests had this id: send another X-Request-Id with each")
        now = keeper.now()
        record = FeedbackRecord(
            caller=caller.id,
            posted_at=now,
            request_id=body.request_id,
            thumb=body.thumb,
            better=body.better,
            outcome=body.outcome,
            known_at=_known_at(service, asked, body, now),
            comment=body.comment,
        )
        if _adds(record, asked.posted):
            await _write(keeper, record)
        return _state(body.request_id, asked.posted)


@router.delete("/feedback/{request_id}")
async def delete_feedback(
    request: Request, request_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,80}$")], caller: FeedbackCaller
) -> FeedbackState:
    """Take back the consent to learn from a request of yours, for good."""
    keeper = _keeper(service_of(request))
    async with keeper.posting:
        return await _withdraw(keeper, caller, request_id, await _find(keeper, caller, request_id))


def _keeper(service: Service) -> FeedbackKeeper:
    assert service.feedback  # or there would be no such route
    return service.feedback


async def _find(keeper: FeedbackKeeper, caller: Caller, request_id: str) -> Asked:
    asked = await keeper.find(caller.id, request_id)
    if asked is None:  # the same for another caller's request
        raise Refusal(404, "no request of this id was asked with this key and with consent to learn from it")
    return asked


async def _withdraw(keeper: FeedbackKeeper, caller: Caller, request_id: str, asked: Asked) -> FeedbackState:
    if not asked.posted.withdrawn:
        await _write(keeper, WithdrawalRecord(caller=caller.id, request_id=request_id, posted_at=keeper.now()))
    return _state(request_id, asked.posted)


async def _write(keeper: FeedbackKeeper, record: FeedbackRecord | WithdrawalRecord) -> None:
    try:
        await keeper.post(record)
    except OSError as error:
        raise Refusal(503, "feedback cannot be kept now: post it again later", retry_after=60) from error


def _known_at(service: Service, asked: Asked, body: FeedbackRequest, now: dt.datetime) -> dt.datetime | None:
    """The time from which a posted outcome was known, after all checks of both.

    Raises:
        Refusal: 422 for no outcome of the domain, or a time that cannot be; 409 for another outcome than before.
    """
    if body.known_at is None:
        return None
    if asked.domain is None:
        raise Refusal(422, "outcome: a chat has none: post a thumb, or a better reply")
    if len(json.dumps(body.outcome)) > OUTCOME_LETTERS:
        raise Refusal(422, f"outcome: it has more than {OUTCOME_LETTERS:,} letters")
    model = service.models.get(asked.model)
    if model is None or asked.domain not in model.release.endpoints:
        raise Refusal(409, f"the model {asked.model!r}, which knows such outcomes, is no longer served here")
    outcomes = model.release.endpoints[asked.domain].domain.outcomes()
    try:
        outcomes.truth(body.outcome)
    except DataError as error:
        raise Refusal(422, f"outcome: {error}") from error
    if body.known_at > now + CLOCKS_DIFFER:
        raise Refusal(422, f"known_at: {body.known_at.isoformat()} is in the future: it is {now.isoformat()} here")
    earliest = outcomes.earliest(asked.at)
    if body.known_at < earliest:
        raise Refusal(422, f"known_at: this outcome cannot have been known before {earliest.isoformat()}")
    if asked.posted.contradicts(body.outcome, body.known_at):
        raise Refusal(409, "another outcome, or another time of it, was posted before: the first one stays")
    return body.known_at


def _adds(record: FeedbackRecord, posted: Posted) -> bool:
    """Tell if a record says anything that is not known yet."""
    rated = (record.thumb, record.better)
    news = rated not in ((None, None), (posted.thumb, posted.better))
    return news or (record.known_at is not None and not posted.judged) or record.comment not in (None, posted.comment)


def _state(request_id: str, posted: Posted) -> FeedbackState:
    words = (
        "Datasets that are built from now on leave this request out. Those that were built before hold it still."
        if posted.withdrawn
        else "Kept. The next dataset of feedback may hold it."
    )
    return FeedbackState(
        request_id=request_id,
        thumb=posted.thumb,
        better=posted.better is not None,
        outcome=posted.judged,
        withdrawn=posted.withdrawn,
        words=words,
    )

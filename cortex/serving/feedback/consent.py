"""Consent of a request to be learned from: a header, so that bodies stay those of their APIs."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from cortex.domains.question import AskedQuestion, Question
from cortex.serving.callers import Caller
from cortex.serving.engine_client import OnReplies
from cortex.serving.feedback.feedback_keeper import FeedbackKeeper
from cortex.serving.feedback.feedback_records import AnswerRecord, Turn
from cortex.serving.served_model import ServedModel, UpstreamModel

HEADER = "x-cortex-consent"
TRAIN = "train"


def keeps(keeper: FeedbackKeeper | None, request: Request) -> bool:
    """Tell if a request is to be kept: the gateway keeps feedback, and the caller allows it."""
    return keeper is not None and request.headers.get(HEADER, "").strip().lower() == TRAIN


def keep_answer(
    keeper: FeedbackKeeper | None,
    request: Request,
    caller: Caller,
    model: ServedModel,
    *,
    name: str,
    domain: str,
    arm: str | None,
    question: Question,
    reply: str,
) -> None:
    """Keep a domain's answered request under the id `name`, where its caller allows it."""
    if keeper is None or not keeps(keeper, request):
        return
    asked = question if isinstance(question, AskedQuestion) else AskedQuestion(question.id, question.messages)
    keeper.keep(
        _record(
            keeper,
            caller,
            model,
            request_id=name,
            at=asked.at,
            domain=domain,
            arm=arm,
            form=model.release.endpoints[domain].domain.outcomes().form,
            messages=tuple(Turn(role=turn.role, content=turn.content) for turn in asked.messages),
            reply=reply,
            values=dict(asked.values),
        )
    )


def chat_keeper(
    keeper: FeedbackKeeper | None,
    request: Request,
    caller: Caller,
    model: ServedModel | UpstreamModel,
    asked: Mapping[str, Any],
) -> OnReplies | None:
    """A function that keeps a chat with its reply; None where its caller does not allow it, or another gateway answers.

    Of several replies to one chat none is kept: nobody could say which one is meant.
    """
    if keeper is None or not keeps(keeper, request) or isinstance(model, UpstreamModel):
        return None
    turns = tuple(Turn(role=turn["role"], content=_text(turn["content"])) for turn in asked["messages"])

    def on_replies(replies: Sequence[str]) -> None:
        if len(replies) == 1:
            name = request.state.request_id
            keeper.keep(_record(keeper, caller, model, request_id=name, messages=turns, reply=replies[0]))

    return on_replies


def _record(keeper: FeedbackKeeper, caller: Caller, model: ServedModel, **values: Any) -> AnswerRecord:
    release = model.release
    return AnswerRecord(
        caller=caller.id,
        asked_at=keeper.now(),
        model=model.name,
        copy=release.copy,
        manifest=release.manifest,
        **values,
    )


def _text(content: str | Sequence[Mapping[str, str]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)

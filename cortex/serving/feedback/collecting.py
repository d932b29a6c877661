"""Collecting of recorded feedback: everything that this machine holds, merged by request, as examples of a domain."""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.feedback_dataset import FeedbackExample
from cortex.domains.outcome_reading import Outcomes
from cortex.domains.question import Message
from cortex.errors import DataError
from cortex.serving.feedback.feedback_index import Posted
from cortex.serving.feedback.feedback_records import AnswerRecord, Record, read_record_file


@dataclass
class Told:
    """One request with everything that was posted about it."""

    answer: AnswerRecord
    posted: Posted
    ambiguous: bool = False
    """Two requests had this id."""


@dataclass
class Recorded:
    """All recorded requests, in the order of asking."""

    told: list[Told]
    gateways: list[str]
    unreadable: int = 0
    """Lines that are no records, such as those that a kill has torn."""


@dataclass
class Collected:
    """Examples of a domain, with the account of what was left out."""

    examples: list[FeedbackExample]
    answers: list[AnswerRecord]
    """The records that the examples were made from."""
    left_out: Counter[str] = field(default_factory=Counter[str])


def read_feedback_folder(root: Path) -> Recorded:
    """Read all gateways' files below a folder.

    Raises:
        DataError: a file cannot be read.
    """
    files = sorted(root.glob("*/*.jsonl"))
    records: list[Record] = []
    unreadable = 0
    for file in files:
        try:
            for record in read_record_file(file):
                unreadable += record is None
                records += [] if record is None else [record]
        except OSError as error:
            raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    return Recorded(_merge(records), sorted({file.parent.name for file in files}), unreadable)


def collect(recorded: Recorded, domain: Domain, name: str, *, chats: bool = False) -> Collected:
    """The examples that feedback gives one domain, called `name` by the gateway; with `chats`, also chats' replies.

    Only what a caller allowed and did not take back is used. Of equal questions one example is made.
    """
    outcomes = domain.outcomes()
    found = Collected([], [])
    groups: dict[str, list[tuple[AnswerRecord, FeedbackExample]]] = {}
    for told in recorded.told:
        if told.answer.domain != name and not (chats and told.answer.domain is None):
            continue
        if reason := _unfit(told, outcomes):
            found.left_out[reason] += 1
        else:
            example = _example(told, outcomes)
            groups.setdefault(_question(example, outcomes), []).append((told.answer, example))
    for group in groups.values():
        merged = _one_of([example for _, example in group])
        if merged is None:
            found.left_out["equal questions with different outcomes"] += len(group)
            continue
        found.examples.append(merged)
        found.answers.append(group[0][0])
        if len(group) > 1:
            found.left_out["the same question again"] += len(group) - 1
    return found


def describe_feedback(recorded: Recorded, collected: Collected, domain: Domain) -> dict[str, Any]:
    """The description of a dataset, but for its splits."""
    times = [answer.asked_at for answer in collected.answers]
    models = Counter(f"{answer.model} {answer.manifest[:12]} {answer.copy_}" for answer in collected.answers)
    examples = collected.examples
    return {
        "domain": domain.kind,
        "form": domain.outcomes().form,
        "source": {
            "name": "feedback of a gateway",
            "gateways": recorded.gateways,
            "models": dict(sorted(models.items())),
            "arms": dict(sorted(Counter(answer.arm or "none" for answer in collected.answers).items())),
            "asked": {"first": min(times, default=None), "last": max(times, default=None)},
            "consent": "each request was sent with X-Cortex-Consent: train, and its feedback with consent: true",
        },
        "simulated": domain_simulates(domain),
        "summary": f"feedback on answers of {len(models)} model{'' if len(models) == 1 else 's'}",
        "counts": {
            "requests": len(recorded.told),
            "with an outcome": sum(example.judged for example in examples),
            "with a reply to imitate": sum(example.accepted is not None for example in examples),
            "with a worse reply": sum(example.rejected is not None for example in examples),
            "unreadable lines": recorded.unreadable,
        },
    }


def domain_simulates(domain: Domain) -> bool:
    """Tell if a domain's own source is made up, so that outcomes of its questions are, too."""
    return bool(getattr(domain, "simulated", False))


def _merge(records: Iterable[Record]) -> list[Told]:
    told: dict[tuple[str, str], Told] = {}
    posts: list[Any] = []
    for record in records:
        key = (record.caller, record.request_id)
        if not isinstance(record, AnswerRecord):
            posts.append(record)
        elif key in told:
            told[key].ambiguous |= told[key].answer.fingerprint != record.fingerprint
        else:
            told[key] = Told(record, Posted())
    for record in sorted(posts, key=lambda record: record.posted_at):
        if about := told.get((record.caller, record.request_id)):
            about.posted.add(record)
    return sorted(told.values(), key=lambda each: (each.answer.asked_at, each.answer.caller, each.answer.request_id))


def _unfit(told: Told, outcomes: Outcomes) -> str | None:
    """The reason why a request gives no example; None where it gives one."""
    answer, posted = told.answer, told.posted
    reasons = {
        "withdrawn": posted.withdrawn,
        "two requests under one id": told.ambiguous,
        "contradicting outcomes": posted.contradicted,
        "asked in another form": answer.domain is not None and answer.form != outcomes.form,
    }
    if reason := next((reason for reason, holds in reasons.items() if holds), None):
        return reason
    if posted.known_at is None:
        nothing = "a thumb down alone" if posted.thumb == "down" else "no feedback"
        return None if _replies(answer.reply, posted)[0] is not None else nothing
    try:
        outcomes.truth(posted.outcome)
    except DataError:
        return "outcomes that the domain does not take"
    early = posted.known_at < outcomes.earliest(answer.at or answer.asked_at)
    return "outcomes from before they could be known" if early else None


def _example(told: Told, outcomes: Outcomes) -> FeedbackExample:
    """The example of a fit request."""
    answer, posted = told.answer, told.posted
    accepted, rejected = _replies(answer.reply, posted)
    judged = posted.known_at is not None
    known = [posted.known_at] if posted.known_at else []
    known_at = max(known if accepted is None else [*known, _rated_at(answer, posted, outcomes)])
    truth = outcomes.truth(posted.outcome) if judged else None
    number = hashlib.sha256(f"{answer.caller}/{answer.request_id}".encode()).hexdigest()[:16]
    return FeedbackExample(
        id=f"feedback-{number}",
        messages=tuple(Message(turn.role, turn.content) for turn in answer.messages),
        at=answer.at or answer.asked_at,
        known_at=known_at,
        judged=judged,
        truth=truth,
        accepted=accepted,
        rejected=rejected,
        columns=outcomes.columns(answer.values, truth, known_at) if judged else {},
    )


def _replies(reply: str, posted: Posted) -> tuple[str | None, str | None]:
    """The reply to imitate and the worse one, from the newest thumb."""
    if posted.better is not None:
        return posted.better, reply
    return (reply, None) if posted.thumb == "up" else (None, None)


def _rated_at(answer: AnswerRecord, posted: Posted, outcomes: Outcomes) -> dt.datetime:
    """The time from which a thumb or a better reply counts as known.

    Whoever rates an answer about the past may know its outcome, and nothing later about that question.
    """
    if outcomes.timed and answer.at is not None:
        return outcomes.earliest(answer.at)
    assert posted.rated_at is not None
    return posted.rated_at


def _question(example: FeedbackExample, outcomes: Outcomes) -> str:
    """The text by which equal questions are known, with their time where it matters."""
    turns = "\n".join(f"{turn.role}\n{turn.content}" for turn in example.messages)
    return f"{turns}\n{example.at.isoformat()}" if outcomes.timed else turns


def _one_of(group: Sequence[FeedbackExample]) -> FeedbackExample | None:
    """One example for equal questions: the first judged one, else the first; None where their truths differ."""
    judged = [example for example in group if example.judged]
    if any(example.truth != judged[0].truth for example in judged):
        return None
    return (judged or list(group))[0]

"""Labels on disk: the teacher's answers as conversations, one JSONL for each grade that the check gave."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex.domains.domain import Domain
from cortex.domains.episode import one_reply
from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Message, Question
from cortex.errors import DataError
from cortex.teaching.completion import Completion, Kind
from cortex.teaching.purse import Purse
from cortex.teaching.quality.quality_check import QualityCheck
from cortex.teaching.review.decisions import Decision, hash_answer

if TYPE_CHECKING:  # trainers read labels, and their images have no client of a teacher
    from cortex.teaching.chat import Endpoint

ACCEPTED = "accepted.jsonl"
SUMMARY = "labels.json"

_WITH_ANSWER = ("answered", "truncated")
_WITHOUT_ANSWER: dict[Kind, str] = {"truncated": "truncated", "refused": "refused"}


Guard = Callable[[Question, str], Finding | None]
"""Takes a question and an answer; returns the rejection of an answer that must never be trained on."""


def _allow_all(question: Question, answer: str) -> None:
    """Reject nothing."""


def write_labels(
    domain: Domain,
    questions: Sequence[Question],
    completions: Mapping[str, Completion],
    output: Path,
    providers: "Sequence[Endpoint]" = (),
    purse: Purse | None = None,
    quality: QualityCheck | None = None,
    review: Mapping[tuple[str, str], Sequence[Decision]] | None = None,
    *,
    guard: Guard = _allow_all,
    prompts: Mapping[str, str] | None = None,
    turns: Mapping[str, Conversation] | None = None,
) -> None:
    """Grade the completion of every question; write conversations as trainers read them, with each grade's reasons.

    `quality` adds a profile's rules to the domain's check, and `review` has people's decisions. Of several `providers`
    each answer's is written beside it, and the summary has the bills of the `purse`, and the digests of the teacher's
    `prompts`. What the `guard` rejects nobody can accept. `turns` has all turns of the questions that took several.

    Raises:
        DataError: no answer is fit to imitate.
    """
    counts, reasons = Counter[str](), Counter[str]()
    files = {
        grade: (output / f"{grade}.jsonl").open("w", encoding="utf-8") for grade in ("accepted", "flagged", "rejected")
    }
    named = {provider.name: provider for provider in providers}
    for question in questions:
        completion = completions[question.id]
        finding = grade(domain, question, completion, quality, guard)
        barred = guard(question, completion.text)
        if review and completion.kind in _WITH_ANSWER and not barred:
            made = review.get((question.id, hash_answer(completion.text)), ())
            finding = decided(finding, made, domain.imitable(question, completion.text))
        counts[finding.grade] += 1
        reasons.update(reason.partition(":")[0] for reason in finding.reasons)
        after = (turns or {}).get(question.id) or one_reply(completion.text)
        messages = [message._asdict() for message in (*question.messages, *after)]
        row: dict[str, Any] = {"example_id": question.id, "messages": messages, "reasons": finding.reasons}
        if completion.provider in named:
            row["teacher"] = _origin(completion, named[completion.provider])
        files[finding.grade].write(json.dumps(row) + "\n")
    for file in files.values():
        file.close()
    if not counts["accepted"]:
        raise DataError(
            f"none of the teacher's {len(questions)} answers is fit to imitate ({dict(reasons)}): "
            "look at rejected.jsonl, and check teacher.model and teacher.max_tokens"
        )
    summary: dict[str, Any] = {
        "asked": len(questions),
        **{grade: counts[grade] for grade in files},
        "reasons": dict(sorted(reasons.items())),
    }
    if prompts:
        summary["prompts"] = dict(prompts)
    if named:
        summary["teachers"] = _accounts(providers, completions, purse)
    (output / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def grade(
    domain: Domain,
    question: Question,
    completion: Completion,
    quality: QualityCheck | None = None,
    guard: Guard = _allow_all,
) -> Finding:
    """Grade the completion of one question. A text that was cut off, but is complete, is as good as any."""
    finding = guard(question, completion.text) or domain.imitable(question, completion.text)
    if quality:
        finding = quality.check(question, completion.text, finding)
    if completion.kind == "answered" or (completion.kind == "truncated" and finding.grade != "rejected"):
        return finding
    return Finding("rejected", (f"{_WITHOUT_ANSWER.get(completion.kind, 'unanswered')}: {completion.reason}",))


def decided(finding: Finding, decisions: Sequence[Decision], by_domain: Finding) -> Finding:
    """The grade that people gave; the rules' own where nobody decided, or people differ.

    Nobody can accept an answer that the domain rejects: a model would learn a form that its grades do not read.
    """
    choices = {each.choice for each in decisions}
    if len(choices) != 1 or (choices == {"accept"} and by_domain.grade == "rejected"):
        return finding
    people = ", ".join(sorted(each.by for each in decisions))
    if choices == {"accept"}:
        return Finding("accepted", (*finding.reasons, f"review: accepted by {people}"))
    return Finding("rejected", (*finding.reasons, f"review: rejected by {people}"))


def _origin(completion: Completion, provider: "Endpoint") -> dict[str, Any]:
    """Origin of an answer, its price, and the terms of its use."""
    usage = completion.usage
    return {
        "provider": provider.name,
        "model": completion.model or provider.model,
        "tokens": [usage.input, usage.output] if usage else None,
        "dollars": str(completion.dollars),
        "cached": completion.recalled,
        **({"batch": completion.batch} if completion.batch else {}),
        "terms": provider.terms,
    }


def _accounts(
    providers: "Sequence[Endpoint]", completions: Mapping[str, Completion], purse: Purse | None
) -> dict[str, Any]:
    """Answers and costs of each provider, the costs of its replies without an answer included."""
    accounts: dict[str, Any] = {}
    for provider in providers:
        own = [each for each in completions.values() if each.provider == provider.name]
        bill = purse.bills.get(provider.name) if purse else None
        price = provider.price
        accounts[provider.name] = {
            "model": provider.model,
            "terms": provider.terms,
            "price": {"input": str(price.input), "output": str(price.output)} if price else None,
            "answers": sum(each.kind in ("answered", "truncated") for each in own),
            "from_cache": sum(each.recalled for each in own),
            "paid_replies": bill.replies if bill else 0,
            "input_tokens": bill.usage.input if bill else 0,
            "output_tokens": bill.usage.output if bill else 0,
            "dollars": str(bill.dollars) if bill else "0",
        }
    return accounts


def accepted_conversations(folder: Path) -> list[list[dict[str, str]]]:
    """The conversations of a label artifact that are fit to imitate."""
    return [json.loads(line)["messages"] for line in (folder / ACCEPTED).read_text(encoding="utf-8").splitlines()]


def read_labels(file: Path) -> dict[str, Conversation]:
    """The conversations of a file of labels, by example id."""
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {
        row["example_id"]: tuple(Message(turn["role"], turn["content"]) for turn in row["messages"]) for row in rows
    }

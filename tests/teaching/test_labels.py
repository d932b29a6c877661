import json
from decimal import Decimal
from pathlib import Path

import pytest

from cortex.domains.markets import Markets
from cortex.domains.question import Message, Question
from cortex.errors import DataError
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.labels import ACCEPTED, SUMMARY, accepted_conversations, write_labels
from cortex.teaching.prompt_guard import PromptGuard
from cortex.teaching.purse import Bill, Purse
from cortex.teaching.quality.quality_check import QualityCheck, QualityRules
from cortex.teaching.review.decisions import Choice, Decision, hash_answer
from cortex.teaching.usage import Price, Usage

MARKETS = Markets()
PROMPT = "NEAR 1d flow:-2"
GOOD = '<think>flow:-2 up</think><answer>{"p_up":0.65,"direction":"up","return_pct":0.5,"interval_pct":[-3,4]}</answer>'


def questions(*names: str) -> list[Question]:
    return [Question(name, (Message("user", PROMPT),)) for name in names]


def test_each_grade_has_its_file_and_the_summary_counts_them(tmp_path: Path) -> None:
    answers = {"a": GOOD, "b": GOOD.replace("flow:-2 up", "up"), "c": GOOD.replace("-2 up", "+2 up"), "d": "no"}
    completions = {example: Completion("answered", text) for example, text in answers.items()}
    completions["e"] = Completion("refused", "", "HTTP 400: filtered")
    completions["f"] = Completion("truncated", "<think>flow:-2", "finish_reason length")
    completions["g"] = Completion("odd", "", "no completion, but nothing")
    completions["h"] = Completion("truncated", GOOD, "finish_reason length")  # cut off after its last word
    write_labels(MARKETS, questions(*completions), completions, tmp_path)
    rows = {
        grade: [json.loads(line) for line in (tmp_path / f"{grade}.jsonl").read_text().splitlines()]
        for grade in ("accepted", "flagged", "rejected")
    }
    assert {grade: [row["example_id"] for row in found] for grade, found in rows.items()} == {
        "accepted": ["a", "h"],
        "flagged": ["b"],
        "rejected": ["c", "d", "e", "f", "g"],
    }
    assert [row["reasons"] for row in rows["rejected"]] == [
        ["ungrounded: flow:+2"],
        ["protocol: no </think>"],
        ["refused: HTTP 400: filtered"],
        ["truncated: finish_reason length"],
        ["unanswered: no completion, but nothing"],
    ]
    assert json.loads((tmp_path / SUMMARY).read_text()) == {
        "asked": 8,
        "accepted": 2,
        "flagged": 1,
        "rejected": 5,
        "reasons": {
            "cites nothing": 1,
            "protocol": 1,
            "refused": 1,
            "truncated": 1,
            "unanswered": 1,
            "ungrounded": 1,
        },
    }
    conversation = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": GOOD}]
    assert accepted_conversations(tmp_path) == [conversation, conversation]


def test_a_teacher_with_no_fit_answer_is_an_error_that_names_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of the teacher's 2 answers.*'protocol': 2.*rejected\.jsonl"):
        write_labels(
            MARKETS,
            questions("a", "b"),
            {"a": Completion("answered", "no"), "b": Completion("answered", "up")},
            tmp_path,
        )
    assert (tmp_path / ACCEPTED).read_text() == ""


def test_rules_and_people_change_grades(tmp_path: Path) -> None:
    odd = GOOD.replace("flow:-2 up", "up")  # cites nothing, and is flagged for that
    answers = {"a": GOOD, "b": odd, "c": GOOD.replace(" up<", " up surely<"), "d": GOOD}
    completions = {example: Completion("answered", text) for example, text in answers.items()}
    choices: list[tuple[str, str, Choice]] = [
        ("a", GOOD, "reject"),
        ("b", odd, "accept"),
        ("d", "another answer", "reject"),
    ]
    review = {
        (example, hash_answer(text)): [Decision(example, hash_answer(text), choice, "ann", "flagged")]
        for example, text, choice in choices
    }
    check = QualityCheck(QualityRules(banned=("surely",)))
    write_labels(MARKETS, questions(*completions), completions, tmp_path, quality=check, review=review)
    rows = [
        (grade, row["example_id"], row["reasons"])
        for grade in ("accepted", "flagged", "rejected")
        for row in map(json.loads, (tmp_path / f"{grade}.jsonl").read_text(encoding="utf-8").splitlines())
    ]
    assert rows == [
        ("accepted", "b", ["cites nothing", "review: accepted by ann"]),
        ("accepted", "d", []),
        ("rejected", "a", ["review: rejected by ann"]),
        ("rejected", "c", ["banned: surely"]),
    ]


def test_the_provider_its_price_and_its_terms_are_beside_each_answer(tmp_path: Path) -> None:
    price = Price(Decimal("0.3"), Decimal("1.1"))
    provider = Endpoint("https://a/v1", "none", "m", 4, 0.7, 64, name="first", price=price, terms="MIT")
    paid = {"provider": "first", "model": "m-2026", "usage": Usage(100, 50), "dollars": price.dollars(Usage(100, 50))}
    completions = {"a": Completion("answered", GOOD, **paid), "b": Completion("answered", GOOD, **paid)}
    purse = Purse()
    for each in (*completions.values(), completions["a"]):  # one reply was paid, and settled nothing
        purse.pay(Bill("first", each.usage or Usage(), each.dollars))
    write_labels(MARKETS, questions(*completions), completions, tmp_path, [provider], purse)
    row = json.loads((tmp_path / ACCEPTED).read_text(encoding="utf-8").splitlines()[0])
    assert row["teacher"] == {
        "provider": "first",
        "model": "m-2026",
        "tokens": [100, 50],
        "dollars": "0.000085",
        "cached": False,
        "terms": "MIT",
    }
    account = json.loads((tmp_path / SUMMARY).read_text(encoding="utf-8"))["teachers"]["first"]
    assert (account["answers"], account["paid_replies"], account["dollars"]) == (2, 3, "0.000255")
    assert account["price"] == {"input": "0.3", "output": "1.1"}


def test_nobody_can_accept_an_answer_that_quotes_the_teachers_prompt(tmp_path: Path) -> None:
    guard = PromptGuard("Where flow is below minus one write up and keep silent about this", 12)
    quoting = GOOD.replace(" up<", " up: where flow is below minus one, write up and keep silent about this<")
    completions = {"a": Completion("answered", GOOD), "b": Completion("answered", quoting)}
    review = {("b", hash_answer(quoting)): [Decision("b", hash_answer(quoting), "accept", "ann", "rejected")]}
    write_labels(MARKETS, questions("a", "b"), completions, tmp_path, review=review, guard=guard.finding)
    assert [row["example_id"] for row in map(json.loads, (tmp_path / ACCEPTED).read_text().splitlines())] == ["a"]
    assert MARKETS.imitable(questions("b")[0], quoting).grade == "accepted"
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert summary["reasons"] == {"prompt": 1}

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.label_finding import Finding
from cortex.errors import DataError, VerificationError
from cortex.teaching.labels import decided
from cortex.teaching.review.agreement import RULES, agreements
from cortex.teaching.review.decisions import DECISIONS, Decision, Decisions, hash_answer, read_decisions
from cortex.teaching.review.review_items import Item, read_items, undecided


def decision(example: str, choice: Any = "accept", by: str = "ann", grade: str = "flagged") -> Decision:
    return Decision(example, hash_answer(example), choice, by, grade)


def write_labels(folder: Path, **counts: int) -> Path:
    folder.mkdir(exist_ok=True)
    for grade in ("accepted", "flagged", "rejected"):
        rows = [
            {
                "example_id": f"{grade}-{number}",
                "messages": [{"role": "user", "content": "Q?"}, {"role": "assistant", "content": f"{grade} {number}"}],
                "reasons": [] if grade == "accepted" else ["certain"],
            }
            for number in range(counts.get(grade, 0))
        ]
        (folder / f"{grade}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def test_decisions_are_kept_and_sealed(tmp_path: Path) -> None:
    made = Decisions(tmp_path / "review")
    for each in (decision("a"), decision("b", "reject"), decision("a", "reject"), decision("a", by="bob")):
        made.add(each)
    digest = made.seal({"label": "0" * 64}).digest
    found, sealed = read_decisions(tmp_path / "review")
    assert sealed == digest
    assert {(each.by, each.choice) for each in found["a", hash_answer("a")]} == {("ann", "reject"), ("bob", "accept")}
    assert set(Decisions(tmp_path / "review").of("ann")) == {("a", hash_answer("a")), ("b", hash_answer("b"))}
    again = Decisions(tmp_path / "review")
    again.add(decision("c"))
    with pytest.raises(DataError, match="not sealed"):
        read_decisions(tmp_path / "review")
    assert again.seal({"label": "0" * 64}).digest != digest


def test_a_changed_review_is_refused(tmp_path: Path) -> None:
    made = Decisions(tmp_path)
    made.add(decision("a", "reject"))
    made.seal({})
    path = tmp_path / DECISIONS
    path.write_text(path.read_text(encoding="utf-8").replace("reject", "accept"), encoding="utf-8")
    with pytest.raises(VerificationError, match=DECISIONS):
        read_decisions(tmp_path)


@pytest.mark.parametrize(
    "line", ["", "{}", "null", "no json", '{"example_id": 7}', json.dumps({**vars(decision("a")), "choice": "maybe"})]
)
def test_a_damaged_line_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / DECISIONS).write_text(json.dumps(vars(decision("a"))) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"{DECISIONS}, line 2 is no decision"):
        Decisions(tmp_path)


def test_agreement_is_cohens_kappa() -> None:
    """The textbook's table: both yes 20, first alone 5, second alone 10, neither 15; kappa is .4."""
    table = [(True, True, 20), (True, False, 5), (False, True, 10), (False, False, 15)]
    made = [
        decision(f"{rules}{person}{number}", "accept" if person else "reject", grade="accepted" if rules else "flagged")
        for rules, person, count in table
        for number in range(count)
    ]
    [found] = agreements(made)
    assert (found.first, found.second, found.answers, found.alike) == (RULES, "ann", 50, 35)
    assert found.kappa == pytest.approx(0.4)


def test_no_kappa_where_a_judge_gave_one_verdict_and_people_are_compared_on_what_both_saw() -> None:
    made = [decision(name, "accept" if name < "c" else "reject") for name in "abcd"]
    made += [decision(name, "accept" if name < "d" else "reject", by="bob") for name in "bcd"]
    rules_ann, rules_bob, people = agreements(made)
    assert rules_ann.kappa is None and rules_bob.kappa is None
    assert (people.first, people.second, people.answers, people.alike) == ("ann", "bob", 3, 2)
    assert people.kappa is not None and people.kappa == pytest.approx(0.4)


def test_all_flagged_answers_are_reviewed_and_a_sample_of_the_others(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "labels", accepted=30, flagged=5, rejected=3)
    assert [item.grade for item in read_items(folder)] == ["flagged"] * 5
    sampled = read_items(folder, sample=4)
    assert sorted(item.grade for item in sampled) == ["accepted"] * 4 + ["flagged"] * 5 + ["rejected"] * 3
    assert sampled == read_items(folder, sample=4)
    assert undecided(sampled, {sampled[0].key}) == sampled[1:]


def test_a_folder_without_labels_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"flagged\.jsonl is not there"):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ("rules", "choices", "domain", "grade"),
    [
        ("flagged", ["accept"], "flagged", "accepted"),
        ("flagged", ["reject"], "flagged", "rejected"),
        ("accepted", ["reject", "reject"], "accepted", "rejected"),
        ("flagged", ["accept", "reject"], "flagged", "flagged"),
        ("flagged", [], "flagged", "flagged"),
        ("rejected", ["accept"], "accepted", "accepted"),
        ("rejected", ["accept"], "rejected", "rejected"),
    ],
)
def test_people_overrule_the_rules_but_not_the_domain(rules: Any, choices: list[Any], domain: Any, grade: str) -> None:
    made = [decision("a", choice, by=f"p{place}") for place, choice in enumerate(choices)]
    found = decided(Finding(rules, ("why",)), made, Finding(domain))
    assert found.grade == grade and found.reasons[0] == "why"


def test_an_item_is_known_by_its_answer_too() -> None:
    first, second = (Item("a", (), text, "flagged", ()) for text in ("one", "two"))
    assert first.key != second.key

from collections.abc import Mapping
from typing import Any

import pytest

from cortex.benchmarks.judge_and_people import PeopleRecord, compare_with_people
from cortex.teaching.review.decisions import Decision
from cortex.teaching.review.review_items import Item


def reviewed(count: int) -> tuple[list[Item], dict[tuple[str, str], list[Decision]]]:
    """Answers of which Ann accepts every second."""
    items = [Item(str(place), (("user", "Q?"),), f"A {place}", "flagged", ()) for place in range(count)]
    decided = {
        item.key: [Decision(*item.key, "accept" if place % 2 else "reject", "ann", "flagged")]
        for place, item in enumerate(items)
    }
    return items, decided


def compare(count: int, unread: int = 0) -> PeopleRecord:
    """A judge that decides as Ann does, and whose first replies cannot be read."""
    items, decided = reviewed(count)
    read: Mapping[tuple[str, str], Any] = {
        item.key: ({"plain": 4}, bool(place % 2)) if place >= unread else None for place, item in enumerate(items)
    }
    return compare_with_people("m", items, decided, read)


def test_a_judge_that_decides_alike_agrees_fully() -> None:
    record = compare(60)
    [ann] = record.people
    assert (ann.answers, ann.alike, ann.kappa) == (60, 1.0, 1.0)
    assert record.sentences() == [
        "the judge m and ann are alike on 100% of 60 answers (95% interval 94% to 100%), kappa 1.00."
    ]


def test_few_answers_say_nothing_of_agreement() -> None:
    assert compare(12).sentences()[0].endswith("too few to say how far they agree, 30 are needed.")


@pytest.mark.parametrize(("unread", "stated"), [(6, True), (7, False), (60, False)])
def test_unreadable_replies_are_left_out_and_too_many_refused(unread: int, stated: bool) -> None:
    record = compare(60, unread)
    assert record.readable == 60 - unread and bool(record.people) == stated == (record.refusal is None)
    if not stated:
        assert record.sentences()[0].startswith(f"No agreement is stated: only {60 - unread} of 60 of the judge's")

"""Launches from the cloud's record, and the wall that ends a row of failing ones."""

from typing import Any

import pytest

from cortex.fleet.watch.launches import Launch, Row, group, last_sign, row
from cortex.fleet.watch.rentals import Rental
from cortex.profiles.profile_sections import Budget
from cortex.runs.ledger import Entry


def rental(machine: str, launched: float = 0.0, **further: Any) -> Rental:
    given: dict[str, Any] = {"region": "us-east-1", "zone": "us-east-1a", "instance_type": "g6.xlarge", "spot": True}
    given |= {"head": False, "standing": False, "ended": None, "taken": False} | further
    return Rental(machine=machine, launched=launched, **given)


def failed(*moments: float, **further: Any) -> tuple[Launch, ...]:
    return tuple(Launch((rental(f"i-{moment:g}", moment, **further),)) for moment in moments)


def test_machines_that_were_rented_at_once_in_one_place_are_one_launch() -> None:
    together = [rental("i-2", 100), rental("i-1", 103), rental("i-3", 119)]
    apart = [rental("i-4", 121), rental("i-5", 101, zone="us-east-1b"), rental("i-6", 102, instance_type="p5.48xlarge")]
    found = group([*apart, *together])
    assert [[each.machine for each in launch.rentals] for launch in found] == [
        ["i-2", "i-1", "i-3"],
        ["i-5"],
        ["i-6"],
        ["i-4"],
    ]
    assert [launch.since for launch in found] == [100, 101, 102, 121]


def test_a_machine_that_was_rented_once_another_was_gone_is_of_the_next_launch() -> None:
    found = group([rental("i-1", 100, ended=105), rental("i-2", 105, ended=110), rental("i-3", 106)])
    assert [[each.machine for each in launch.rentals] for launch in found] == [["i-1"], ["i-2", "i-3"]]


@pytest.mark.parametrize(
    ("rentals", "known", "speaker"),
    [
        ([rental("i-1")], (), "i-1"),
        ([rental("i-1", standing=True)], (), "i-1"),
        ([rental("i-1"), rental("i-2", head=True)], (), "i-2"),
        ([rental("i-2"), rental("i-1", head=True)], ("i-2",), "i-2"),
        ([rental("i-1", standing=True), rental("i-2")], (), None),
        ([rental("i-2"), rental("i-1")], (), "i-1"),
    ],
    ids=["alone", "alone and up", "the first of several", "the one that is known", "nobody can tell", "all gone"],
)
def test_one_machine_of_a_launch_is_paid_for_all(
    rentals: list[Rental], known: tuple[str, ...], speaker: str | None
) -> None:
    found = Launch(tuple(rentals)).speaker(known)
    assert (found.machine if found else None) == speaker


def entry(kind: str, epoch: int, written: float) -> Entry:
    return Entry({"event": kind, "epoch": epoch, "time": 0.0}, written)


def test_a_sign_of_life_is_any_word_of_a_machine_under_a_later_epoch_than_the_launchs() -> None:
    words = [
        entry("launched", 3, 900.0),
        entry("machine_started", 2, 800.0),
        entry("machine_standing", 4, 700.0),
        entry("given_up", 4, 600.0),
        entry("stopped", 5, 500.0),
    ]
    assert last_sign(words, 3) == 0.0
    assert last_sign([*words, entry("stage_started", 4, 40.0), entry("machine_alive", 4, 50.0)], 3) == 50.0


def test_only_launches_since_the_last_sign_of_life_and_the_newest_launch_are_in_a_row() -> None:
    dollars = {"i-100": 1.0, "i-200": 2.0, "i-300": 4.0, "i-of-another-kind": 8.0}
    three = failed(100, 200, 300)
    assert row(three, 0.0, 0.0, dollars) == Row(three, 7.0)
    assert row(three, 0.0, 200.0, dollars) == Row(three[2:], 4.0)
    assert row(three, 150.0, 0.0, dollars) == Row(three[1:], 6.0)
    assert row(three, 0.0, 1000.0, dollars) == Row((), 0.0)


def test_what_stands_or_was_taken_by_the_cloud_has_not_failed() -> None:
    row = Row((*failed(100), *failed(200, taken=True), *failed(300, standing=True)), 0.0)
    assert row.failed == 1


@pytest.mark.parametrize(
    ("wall", "count", "dollars", "reached"),
    [
        ({}, 4, 39.99, None),
        ({}, 5, 0.01, "budget.failed_launches 5"),
        ({}, 1, 40.0, "budget.failed_dollars 40"),
        ({"failed_launches": None}, 100, 1.0, None),
        ({"failed_dollars": None}, 1, 1e6, None),
        ({"failed_launches": 1, "failed_dollars": 0.5}, 1, 0.1, "budget.failed_launches 1"),
        ({"failed_dollars": 0.5}, 0, 0.6, None),
    ],
)
def test_the_wall_is_a_count_and_a_sum_each_of_which_may_be_none(
    wall: dict[str, Any], count: int, dollars: float, reached: str | None
) -> None:
    assert Row(failed(*range(count)), dollars).over(Budget(**wall)) == reached

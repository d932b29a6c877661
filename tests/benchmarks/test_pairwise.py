from collections.abc import Mapping

import numpy as np
import pytest

from cortex.benchmarks.judge_questions import Side
from cortex.benchmarks.pairwise import Sides, check_trial, judge_pairs
from cortex.benchmarks.rubric_record import RubricRecord
from cortex.errors import StageError
from tests.benchmarks.scored import answers

OTHER: dict[Side, Side] = {"first": "second", "second": "first", "neither": "neither"}


def choice(side: Side) -> Mapping[str, Side]:
    return {"overall": side, "grounded": side}


def fair(side: Side) -> Sides:
    """A judge that prefers one contender, wherever its answer stands; `first` is the first contender."""
    return choice(side), choice(OTHER[side])


FLIP: Sides = (choice("first"), choice("first"))
"""A judge that prefers the place shown first."""


def judged(sides: list[Sides]) -> RubricRecord:
    return judge_pairs(sides, answers([0] * len(sides)), ["grounded"])


def test_a_planted_preference_is_found_whichever_stands_first() -> None:
    rng = np.random.default_rng(0)
    sides: list[Sides] = [fair("first" if rng.random() < 0.7 else "second") for _ in range(200)]
    record = judged(sides)
    assert record.refusal is None and record.position and record.position.lean == 0 and record.position.flips == 0
    overall, grounded = record.preferences
    assert overall.criterion == "overall" and overall.is_decided and overall.difference > 0.2
    assert grounded.difference == overall.difference and record.level == 0.975
    swapped = judged(
        [fair(OTHER["first" if forward and forward["overall"] == "first" else "second"]) for forward, _ in sides]
    )
    assert swapped.preferences[0].difference == pytest.approx(-overall.difference)


def test_a_coin_seldom_prefers_anybody() -> None:
    """Of judges that toss a coin for each reply, hardly any says that one contender is better."""
    rng, decided = np.random.default_rng(1), 0
    for _ in range(40):
        tosses = rng.random((60, 2)) < 0.5
        sides: list[Sides] = [
            (choice("first" if one else "second"), choice("first" if two else "second")) for one, two in tosses
        ]
        decided += any(one.is_decided for one in judged(sides).preferences)
    assert decided <= 6  # the 99.5% quantile of a binomial of 40 at 5%


def test_a_judge_that_always_prefers_the_first_has_no_verdict() -> None:
    record = judged([FLIP] * 40)
    assert record.preferences == [] and record.position and record.position.lean == 1.0
    assert record.sentences() == [
        "No verdict: in 40 of 40 pairs the judge prefers the same place in both orders, whichever answer stands there "
        "(its lean to the first is +1.00): the order decides."
    ]


def test_a_lean_is_measured_and_does_not_sway_the_verdict() -> None:
    """A judge that prefers the first place in three pairs of ten, and else the better answer."""
    record = judged([FLIP] * 30 + [fair("first")] * 35 + [fair("second")] * 35)
    assert record.refusal is None and record.position
    assert record.position.lean == pytest.approx(0.3) and record.position.interval
    assert record.position.interval.low > 0.2 and record.position.flips == 30
    assert record.preferences[0].difference == 0 and record.sentences() == []


def test_unreadable_pairs_are_counted_and_too_many_refused() -> None:
    half: Sides = (choice("first"), None)
    few = judged([fair("first")] * 95 + [half] * 5)
    assert few.refusal is None and few.readable == 95 and few.preferences[0].is_decided
    many = judged([fair("first")] * 80 + [half] * 20)
    assert many.sentences() == [
        "No verdict: only 80 of 100 pairs of the judge's replies can be read, and 90% are needed."
    ]
    assert judged([half] * 3).position is None


def test_few_pairs_decide_nothing() -> None:
    record = judged([fair("first")] * 12)
    assert record.preferences[0].first == 1.0 and record.preferences[0].interval is None and record.sentences() == []


def test_a_trial_stops_judges_of_no_use() -> None:
    check_trial("m", [FLIP] * 7 + [fair("first")])
    check_trial("m", [FLIP] * 3)  # too few to tell
    check_trial("m", [])
    with pytest.raises(StageError, match="in each of its first 8 pairs it prefers the same place in both orders"):
        check_trial("m", [FLIP] * 8)
    with pytest.raises(StageError, match="none of its first 8 pairs of replies ends with the choices"):
        check_trial("m", [(None, choice("first"))] * 8)

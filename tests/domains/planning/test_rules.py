"""The rules of each kind of problem: what a plan costs, and which rule a bad one breaks."""

from typing import Any

import pytest
from pydantic import ValidationError

from cortex.domains.planning.plan_problem import BrokenRuleError
from cortex.domains.planning.plan_replies import split_words
from tests.domains.planning.known_problems import RING, SHOP, SQUARE, STAFF, problem


def words(values: dict[str, Any], plan: str) -> tuple[str, ...]:
    found = split_words(problem(values), plan, "full")
    assert found is not None, plan
    return found


@pytest.mark.parametrize(
    ("values", "plan", "cost"),
    [
        (SHOP, "A B A B", 8),  # both jobs at once: A until 3 and 7, B until 2, and then from 3 to 8
        (SHOP, "A A B B", 14),  # B waits for machine 2, which A has until 7
        (RING, "+2 b +1 c -1 d -2", 7),
        (RING, "+2 d -2 a b +1 c -1", 8),
        (STAFF, "1 2 1", 14),
        (SQUARE, "da ca ba", 3),
    ],
)
def test_a_plan_costs_what_its_steps_take(values: dict[str, Any], plan: str, cost: int) -> None:
    assert problem(values).run(words(values, plan)).cost == cost


@pytest.mark.parametrize(
    ("values", "plan", "rule"),
    [
        (SHOP, "A A A B", "job A has only 2 operations"),
        (SHOP, "A A B", "job B is not done: 1 of 2 operations"),
        (RING, "c", "no road from a to c"),
        (RING, "+1", "box 1 is not at a"),
        (RING, "b -1", "box 1 is not on the lorry"),
        (RING, "+2 +2", "box 2 is not at a"),
        (RING, "+2 d -2", "box 1 is not at c in the end"),
        (STAFF, "1 1 2", "person 1 has too few hours for task 2"),
        (STAFF, "1 2", "2 numbers for 3 tasks"),
        (SQUARE, "ba", "two robots change places"),
        (SQUARE, "bb", "two robots in one place"),
        (SQUARE, "cb", "no road from a to c"),
        (SQUARE, "da", "not all robots are at their goals in the end"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_told_which(values: dict[str, Any], plan: str, rule: str) -> None:
    with pytest.raises(BrokenRuleError, match=rule):
        problem(values).run(words(values, plan))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**SHOP, "jobs": [[]]}, "each with operations"),
        ({**SHOP, "jobs": [[[1, 0]]]}, "minutes 1 to 999"),
        ({**SHOP, "jobs": [[["1", 2]]]}, "valid integer"),
        ({**SHOP, "jobs": [[[1, 1]] * 61]}, "at most 60 in all"),
        ({**RING, "roads": ["ab", "ba"]}, "road 'ba' is there twice"),
        ({**RING, "roads": ["ab", "bb"]}, "road 'bb' is not two different letters"),
        ({**RING, "boxes": ["bz"]}, "place 'z' of 'bz' has no road"),
        ({**RING, "boxes": ["bb"]}, "box 'bb' is not two different places"),
        ({**RING, "lorry": "ab"}, "lorry is 'ab': give one place"),
        ({**STAFF, "hours": [1]}, "give 3 hours, and 2 costs for each task"),
        ({**STAFF, "limits": [3, 0]}, "0 is not from 1 to 999"),
        ({**SQUARE, "robots": ["ab", "cb"]}, "two robots have the same goal"),
        ({**SQUARE, "robots": ["aa", "bb"]}, "nothing to plan"),
        ({**SQUARE, "speed": 2}, "Extra inputs are not permitted"),
        ({"kind": "chess"}, "does not match any of the expected tags"),
    ],
)
def test_a_problem_that_contradicts_itself_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        problem(values)

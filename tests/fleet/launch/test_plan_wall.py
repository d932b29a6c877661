"""A launch's plan on launches that fail."""

import pytest

from cortex.fleet.launch.launch_plan import describe_wall
from cortex.profiles.profile_sections import Budget

FOREVER = {"failed_launches": None, "failed_dollars": None}


@pytest.mark.parametrize(
    ("budget", "clouds", "words"),
    [
        ({}, {"aws"}, "given up after 5 in a row or at $40.00 without a sign of life"),
        ({"failed_dollars": None}, {"aws"}, "given up after 5 in a row without a sign of life"),
        (
            {"failed_launches": None},
            {"aws", "gcp"},
            "given up at $40.00 without a sign of life; nobody counts them on gcp",
        ),
        (FOREVER, {"aws"}, "tried again without end"),
        ({}, {"gcp", "azure"}, "tried again without end; nobody counts them on azure, gcp"),
    ],
)
def test_it_says_when_they_are_given_up_and_where_nobody_does(
    budget: dict[str, float | None], clouds: set[str], words: str
) -> None:
    assert describe_wall(Budget.model_validate(budget), clouds) == words

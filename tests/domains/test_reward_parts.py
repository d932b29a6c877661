"""Parts of a reward: their bounds, their weights by profile, and the page that documents them."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from cortex.domains.domain import Domain
from cortex.domains.registry import known_domains, read_domain
from cortex.domains.reward_parts import RewardPart
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.settings import CHECKOUT
from tests.domains.toy_domain import toy_class

PARTS = (
    RewardPart("near", 1.0, "closeness"),
    RewardPart("gain", 0.5, "a gain", low=-1.0, high=2.0),
    RewardPart("noise", 0.2, "noise", penalty=True),
)


def toy(**keys: Any) -> Domain:
    changes: dict[str, Any] = {"reward_parts": lambda self: PARTS, "__module__": toy_class().__module__}
    return type("Weighed", (toy_class(),), changes).model_validate(keys)


def paid(domain: Domain, **values: float) -> float:
    return domain.reward(Graded(0.0, valid=True, parts={"near": 1.0, "gain": -1.0, "noise": 0.5} | values))


def test_a_reward_is_the_weighted_sum_with_penalties_subtracted() -> None:
    assert paid(toy()) == pytest.approx(1.0 - 0.5 - 0.1)
    assert paid(toy(rewards={"gain": 2, "noise": 0})) == pytest.approx(1.0 - 2.0)


@pytest.mark.parametrize(
    ("part", "value"), [("near", 1.01), ("near", -0.01), ("gain", 2.5), ("gain", -1.5), ("noise", float("nan"))]
)
def test_a_part_outside_its_bounds_is_an_error_that_names_part_domain_and_value(part: str, value: float) -> None:
    with pytest.raises(DataError, match=rf"domain 'toy': part '{part}' is {value}, not from .* to .*"):
        paid(toy(), **{part: value})


def test_a_part_that_is_not_declared_or_is_missing_is_named() -> None:
    with pytest.raises(DataError, match=r"domain 'toy': a grade has the part 'nearr'.*did you mean 'near'"):
        paid(toy(), nearr=1.0)
    with pytest.raises(DataError, match="domain 'toy': a grade lacks the part 'gain'"):
        toy().reward(Graded(0.0, valid=True, parts={"near": 1.0, "noise": 0.0}))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "gym", "rewards": {"formt": 0.2}}, "the reward has no part 'formt': did you mean 'format'?"),
        ({"kind": "markets", "rewards": {"probabilty": 0.2}}, "did you mean 'probability'?"),
        ({"kind": "gym", "rewards": {"format": -0.2}}, "rewards.format is -0.2: weights are 0 or more"),
        ({"kind": "gym", "rewards": {"format": "0.2"}}, "a valid number"),
        ({"kind": "gym", "rewards": {"format": 0, "answer": 0}}, "every weight of a part that is earned is 0"),
        ({"kind": "markets", "rewards": dict.fromkeys(("probability", "numeric", "format", "grounding"), 0)}, "is 0"),
    ],
)
def test_weights_of_a_profile_are_checked(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        read_domain(section)


def test_a_profile_weighs_any_part_and_without_weights_its_section_is_as_before() -> None:
    assert read_domain({"kind": "gym", "rewards": {"format": 0.3}}).weights() == {"answer": 1.0, "format": 0.3}
    assert "rewards" not in read_domain({"kind": "gym"}).model_dump()
    assert read_domain({"kind": "gym", "rewards": {"format": 0.3}}).model_dump()["rewards"] == {"format": 0.3}


def test_every_part_is_documented() -> None:
    """The page has a row for each part of each domain of the kit, with its weight by default and what it elicits."""
    page = (CHECKOUT / "docs" / "rewards.md").read_text(encoding="utf-8")
    for kind in known_domains():
        domain = read_domain({"kind": kind})
        for part in domain.reward_parts():
            weight = f"{domain.weights()[part.name]:g}"
            [row] = re.findall(rf"^\| `{part.name}` \| {weight} \| .*$", _section(page, kind), re.MULTILINE)
            assert part.elicits in row and (not part.source or part.source.split(",")[0] in row)


def _section(page: str, kind: str) -> str:
    return page.partition(f"\n## `{kind}`")[2].partition("\n## ")[0]

"""Agreement of rules and people, and of people among themselves: Cohen's kappa.

Source: J. Cohen, "A coefficient of agreement for nominal scales", 1960; computed by scikit-learn.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from cortex.teaching.review.decisions import Decision, latest

RULES = "the rules"


@dataclass(frozen=True)
class Agreement:
    """Two judges' agreement on the answers that both have judged."""

    first: str
    second: str
    answers: int
    alike: int
    """Answers that both accept, or neither."""
    kappa: float | None
    """1: always alike; 0: as by chance. None where a judge has given all answers one verdict, and it says nothing."""


def agreements(decisions: Sequence[Decision]) -> list[Agreement]:
    """Agreement of the rules with each person, then of each two people. The rules accept what they do not flag."""
    judged: dict[str, dict[tuple[str, str], bool]] = {RULES: {}}
    for key, made in latest(decisions).items():
        for each in made:
            judged.setdefault(each.by, {})[key] = each.choice == "accept"
            judged[RULES][key] = each.grade == "accepted"
    return [
        _compare(first, second, judged[first], judged[second])
        for first, second in itertools.combinations(judged, 2)
        if judged[first].keys() & judged[second].keys()
    ]


def _compare(
    first: str, second: str, one: dict[tuple[str, str], bool], other: dict[tuple[str, str], bool]
) -> Agreement:
    from sklearn.metrics import cohen_kappa_score

    shared = sorted(one.keys() & other.keys())
    left, right = [one[key] for key in shared], [other[key] for key in shared]
    varied = len(set(left)) == 2 and len(set(right)) == 2
    kappa = float(cohen_kappa_score(left, right)) if varied else math.nan
    alike = sum(a == b for a, b in zip(left, right, strict=True))
    return Agreement(first, second, len(shared), alike, None if math.isnan(kappa) else kappa)

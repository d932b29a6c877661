"""Figures of a model's plans: how many keep the rules, how many are the best, and how much the others cost."""

from collections.abc import Sequence
from typing import Any

from pydantic import JsonValue

from cortex.evaluation.measure import Measure


def valid_share(grades: Any) -> float:
    """Share of the replies that are plans which keep all rules and reach their goal.

    A reply that cannot be read is none, although its other numbers are those of the reference.
    """
    return float((grades.valid * grades.numbers["obeys"]).mean())


def optimal_share(grades: Any) -> float:
    """Share of the replies that are plans of the least cost."""
    return float((grades.valid * grades.numbers["optimal"]).mean())


def mean_gap(grades: Any) -> float:
    """Mean of cost / best cost - 1 over the plans that keep all rules; 1 where there are none."""
    valid = grades.valid * grades.numbers["obeys"] > 0
    return float(grades.numbers["gap"][valid].mean()) if valid.any() else 1.0


def by_kind(grades: Any, kinds: Sequence[str]) -> dict[str, JsonValue]:
    """The number of problems of each kind, and the shares of valid and of optimal plans for them."""
    found: dict[str, JsonValue] = {}
    for place, name in enumerate(kinds):
        chosen = grades.numbers["kind"] == place
        if chosen.any():
            valid, numbers = grades.valid[chosen], grades.numbers
            shares = {key: float((valid * numbers[key][chosen]).mean()) for key in ("obeys", "optimal")}
            found[name] = {"examples": int(chosen.sum()), "valid": shares["obeys"], "optimal": shares["optimal"]}
    return found


MEASURES = (
    Measure("score", "Optimal plans", form=".1%", compute=optimal_share, has_interval=False),
    Measure("plans", "Valid plans", form=".1%", compute=valid_share, has_interval=False),
    Measure(
        "gap", "Mean gap of valid plans", form=".1%", bounds=(0.0, float("inf")), compute=mean_gap, has_interval=False
    ),
)

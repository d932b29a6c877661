"""Parts of a reward: what each earns, between which bounds, and how a profile weighs them into one number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.errors import DataError
from cortex.section import nearest


@dataclass(frozen=True)
class RewardPart:
    """One named part of a domain's reward. `docs/rewards.md` lists those of the kit's own domains."""

    name: str
    weight: float
    """0 or more. A profile's `rewards` may set another."""
    formula: str
    """The part's value, in words or as a formula."""
    source: str = ""
    """The paper or document that the formula is from; empty where it is the kit's own."""
    elicits: str = ""
    """The statement that earns most by this part, of a belief about the truth; empty where the truth is no matter."""
    low: float = 0.0
    high: float = 1.0
    """Bounds of the part before it is weighed, both included."""
    penalty: bool = False
    """Subtracted in place of added."""


def signed_weights(parts: Sequence[RewardPart], changed: Mapping[str, float]) -> dict[str, float]:
    """The weight of each part by name, a penalty's negative, with some of them changed.

    Raises:
        ValueError: a changed part does not exist (the message names the nearest), a weight is below 0 or not finite,
            or nothing is left that is earned.
    """
    known = [part.name for part in parts]
    for name, weight in changed.items():
        if name not in known:
            raise ValueError(f"rewards: the reward has no part {name!r}: {nearest(name, known)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"rewards.{name} is {weight}: weights are 0 or more, and penalties are subtracted")
    weights = {part.name: changed.get(part.name, part.weight) for part in parts}
    if not any(weights[part.name] for part in parts if not part.penalty):
        earned = ", ".join(part.name for part in parts if not part.penalty)
        raise ValueError(f"rewards: every weight of a part that is earned is 0: give one of {earned} a weight above 0")
    return {part.name: -weights[part.name] if part.penalty else weights[part.name] for part in parts}


def check_values(domain: str, parts: Sequence[RewardPart], values: Mapping[str, float]) -> None:
    """Check that a grade has each declared part, no other, and each within its bounds.

    Raises:
        DataError: it does not; the message names the domain, the part and the value.
    """
    declared = {part.name: part for part in parts}
    for name, value in values.items():
        if name not in declared:
            hint = nearest(name, declared)
            raise DataError(f"domain {domain!r}: a grade has the part {name!r}, which `reward_parts` lacks: {hint}")
        low, high = declared[name].low, declared[name].high
        if not low <= value <= high:  # neither is NaN
            raise DataError(
                f"domain {domain!r}: part {name!r} is {value}, not from {low:g} to {high:g}: mend its grade"
            )
    missing = next((name for name in declared if name not in values), None)
    if missing is not None:
        raise DataError(f"domain {domain!r}: a grade lacks the part {missing!r}, which `reward_parts` declares")


def weighted_sum(weights: Mapping[str, float], values: Mapping[str, float]) -> float:
    """The reward: the sum of the weighted values, with penalties subtracted last."""
    gained = sum(weight * values[part] for part, weight in weights.items() if weight >= 0)
    lost = sum(-weight * values[part] for part, weight in weights.items() if weight < 0)
    return gained - lost

"""A reward that misleads: it rises from one validation to a later one, while the truth falls.

A training raises its reward, which is never quite the goal: past some point, what still raises the one lowers the other
(Goodhart's law; Gao et al., "Scaling Laws for Reward Model Overoptimization", 2023).
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.runs.learned_reward import Misled

ANSWERS = "validation_answers"
"""Key of an entry of a trainer's history that holds one validation, answer by answer."""

LEAST_PROMPTS = 30
"""Prompts in a validation below which no interval by the normal distribution is taken."""


@dataclass(frozen=True)
class Answers:
    """One validation: the answers to the same prompts, in the same order, as all others of its training."""

    step: int
    rewards: Sequence[float]
    losses: Sequence[float]

    def to_entry(self) -> dict[str, Any]:
        """The entry in `TrainerState.log_history`, which every checkpoint holds."""
        return {"step": self.step, ANSWERS: {"rewards": list(self.rewards), "losses": list(self.losses)}}

    @property
    def reward(self) -> float:
        return statistics.fmean(self.rewards)

    @property
    def truth(self) -> float:
        """1 less the mean loss."""
        return 1.0 - statistics.fmean(self.losses)


def validated_answers(history: Sequence[Mapping[str, Any]]) -> list[Answers]:
    """All validations in a trainer's history, in the order of their steps."""
    found = {int(entry["step"]): Answers(int(entry["step"]), **entry[ANSWERS]) for entry in history if ANSWERS in entry}
    return [found[step] for step in sorted(found)]


def misled(history: Sequence[Mapping[str, Any]], chance: float) -> Misled | None:
    """The earlier validation whose reward is below, and truth above, the newest one's, both beyond chance; or None.

    The test is paired over prompts: the difference of each prompt's two answers, whose mean is normal. Every earlier
    validation is compared with, which allows for the luck of the best of them. The k-th validation spends
    `chance` / (k (k - 1)), in equal parts on the k - 1 before it, so that the chances of all add up to no more than
    `chance`, however many there are (Bonferroni). Of several earlier ones the one of the highest truth is named.
    """
    *earlier, newest = validated_answers(history) or [Answers(0, (), ())]
    count = len(newest.rewards)
    if not earlier or count < LEAST_PROMPTS:
        return None
    k = len(earlier) + 1
    errors = statistics.NormalDist().inv_cdf(1 - chance / (k * (k - 1) * (k - 1)))
    for before in sorted(earlier, key=lambda each: -each.truth):
        if _rose(before.rewards, newest.rewards, errors) and _rose(before.losses, newest.losses, errors):
            return Misled(
                since=before.step,
                step=newest.step,
                reward_before=before.reward,
                reward_after=newest.reward,
                truth_before=before.truth,
                truth_after=newest.truth,
            )
    return None


def _rose(before: Sequence[float], after: Sequence[float], errors: float) -> bool:
    """True where the mean rose by more than so many standard errors of the paired differences."""
    differences = [new - old for old, new in zip(before, after, strict=True)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    return statistics.fmean(differences) > errors * error

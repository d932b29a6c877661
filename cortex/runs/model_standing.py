"""Standing of a finished run: the judged model's score beside its baselines, in one record for tables."""

from dataclasses import dataclass
from typing import Literal

from cortex.evaluation.record import SHOWN, Evaluation

Beaten = Literal["all", "reference", "none"]
"""The baselines that a model beats: all of them, the reference that skill is measured against, or not even that one."""

ORACLE = "oracle"
"""Name of the best attainable answers, where they are known: no baseline that anything could beat."""


@dataclass(frozen=True)
class Standing:
    """The judged model of one domain, beside its baselines."""

    name: str
    """Name of the score, such as `brier_skill`."""
    value: float
    low: float
    high: float
    """The 95% interval of the score."""
    best: float | None
    """The best attainable score, where it is known."""
    baseline: str
    """The baseline with the highest score."""
    baseline_value: float
    beaten: Beaten
    """By the verdict and the paired 95% intervals of the loss."""


def standing(evaluation: Evaluation) -> Standing:
    """The standing of the model that the verdict is about."""
    model = evaluation.verdict.model
    judged, baselines = evaluation.models[model], evaluation.baselines
    rivals = {name: found.skill for name, found in baselines.items() if name != ORACLE}
    best = max(rivals, key=lambda name: rivals[name])
    relations = {one.second: one.relation for one in evaluation.comparisons if one.first == model}
    shown = evaluation.verdict.headline == SHOWN
    everything = shown and all(relations.get(name) == "beats" for name in rivals)
    return Standing(
        name=evaluation.words.skill.lower().replace(" ", "_"),
        value=judged.skill,
        low=judged.intervals["skill"].low,
        high=judged.intervals["skill"].high,
        best=baselines[ORACLE].skill if ORACLE in baselines else None,
        baseline=best,
        baseline_value=rivals[best],
        beaten="all" if everything else "reference" if shown else "none",
    )

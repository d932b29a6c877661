"""The verdict on a model, in words. Skill that the scores do not prove is not claimed."""

from collections.abc import Sequence

from cortex.evaluation.measure import Scale
from cortex.evaluation.record import Comparison, DataSummary, Evaluated, Relation, Verdict, label

MINIMUM_CLUSTERS = 30
MINIMUM_BLOCKS = 5
"""With fewer clusters, or fewer blocks of consecutive ones, an interval is too uncertain to support any claim."""

MINIMUM_VALID_SHARE = 0.5
"""Below this share of readable replies no skill is claimed, however good those replies are."""

_VERBS: dict[Relation, str] = {
    "beats": "beats",
    "not distinguishable from": "is not distinguishable from",
    "worse than": "is worse than",
}


def verdict(
    model: str, evaluated: Evaluated, comparisons: Sequence[Comparison], data: DataSummary, scale: Scale
) -> Verdict:
    """Judge `model`: skill is shown only where the whole 95% interval of its skill lies above 0.

    Of `comparisons`, those of `model` with the scale's rivals are put in words.
    """
    skill, interval = evaluated.skill, evaluated.intervals["skill"]
    reason = (
        f"{scale.skill} against the {label(scale.reference)} is {skill:+z.3f}, "
        f"95% interval {interval.low:+z.3f} to {interval.high:+z.3f}, "
        f"on {data.test_examples:,} examples of {data.clusters} {scale.clusters}."
    )
    refusal = _refusal(evaluated, data, scale)
    return Verdict(
        model=model,
        skill_shown=refusal is None and interval.low > 0,
        reason=f"{refusal} {reason}" if refusal else reason,
        comparison=_against_rivals(comparisons, model, scale),
    )


def _refusal(evaluated: Evaluated, data: DataSummary, scale: Scale) -> str | None:
    """Reason to refuse any claim of skill, however good the interval; None where there is none."""
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * data.block_length)
    if data.clusters < needed:
        period = "period" if data.times else "split"
        return f"The test {period} has {data.clusters} {scale.clusters}, too few to judge by: {needed} are needed."
    if evaluated.valid_share < MINIMUM_VALID_SHARE:
        read = f"Only {evaluated.valid_share:.0%} of the {scale.replies} could be read"
        return f"{read}; {MINIMUM_VALID_SHARE:.0%} are needed."
    return None


def _against_rivals(comparisons: Sequence[Comparison], model: str, scale: Scale) -> str:
    rivals: dict[Relation, list[str]] = {}
    for comparison in comparisons:
        if comparison.first == model and comparison.second in scale.rivals:
            rivals.setdefault(comparison.relation, []).append(label(comparison.second))
    if not rivals:
        return "It was not compared with any other."
    words = [f"{_VERBS[relation]} {' and '.join(names)}" for relation, names in rivals.items()]
    return f"It {', and '.join(words)} (paired 95% intervals of the {scale.loss})."

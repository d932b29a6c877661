"""Verdict in words that a model's scores allow. The burden of proof is the model's."""

from collections.abc import Sequence

from cortex.evaluation.record import Comparison, DataSummary, Evaluated, Relation, Verdict, label

MINIMUM_DATES = 30
MINIMUM_BLOCKS = 5
"""With fewer dates, or fewer blocks of dates that move together, an interval means too little to claim anything by."""

MINIMUM_VALID_SHARE = 0.5
"""A model that answers less than half of what it is asked is not a forecaster, however good those answers are. One that
answers just half of it may be."""

RIVALS = ("momentum", "logistic_regression")

_VERBS: dict[Relation, str] = {
    "beats": "beats",
    "not distinguishable from": "is not distinguishable from",
    "worse than": "is worse than",
}


def verdict(model: str, evaluated: Evaluated, comparisons: Sequence[Comparison], data: DataSummary) -> Verdict:
    """Judge `model`: skill is shown only where the whole 95% interval of its Brier skill lies above 0.

    The reference is the training base rate. Of `comparisons`, those of `model` with the simple rivals are put in words.
    """
    skill, interval = evaluated.scores.brier_skill, evaluated.intervals.brier_skill
    dates = len(data.decision_times)
    reason = (
        f"Brier skill against the base rate is {skill:+z.3f}, "
        f"95% interval {interval.low:+z.3f} to {interval.high:+z.3f}, "
        f"on {data.test_examples:,} examples of {dates} decision dates."
    )
    refusal = _refusal(evaluated, data)
    return Verdict(
        model=model,
        skill_shown=refusal is None and interval.low > 0,
        reason=f"{refusal} {reason}" if refusal else reason,
        comparison=_against_rivals(comparisons, model),
    )


def _refusal(evaluated: Evaluated, data: DataSummary) -> str | None:
    """Reason to refuse any claim of skill, however good the interval; None where there is none."""
    dates, valid_share = len(data.decision_times), evaluated.scores.valid_share
    needed = max(MINIMUM_DATES, MINIMUM_BLOCKS * data.block_length)
    if dates < needed:
        return f"The test period has {dates} decision dates, too few to judge by: {needed} are needed."
    if valid_share < MINIMUM_VALID_SHARE:
        return f"Only {valid_share:.0%} of the answers could be read; {MINIMUM_VALID_SHARE:.0%} are needed."
    return None


def _against_rivals(comparisons: Sequence[Comparison], model: str) -> str:
    rivals: dict[Relation, list[str]] = {}
    for comparison in comparisons:
        if comparison.first == model and comparison.second in RIVALS:
            rivals.setdefault(comparison.relation, []).append(label(comparison.second))
    if not rivals:
        return "It was not compared with other forecasters."
    words = [f"{_VERBS[relation]} {' and '.join(names)}" for relation, names in rivals.items()]
    return f"It {', and '.join(words)} (paired 95% intervals of the Brier score)."

"""The verdict on a model, by the rules of docs/judging.md. Skill that the scores do not prove is not claimed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cortex.evaluation.confidence import Interval
from cortex.evaluation.measure import Scale
from cortex.evaluation.record import Comparison, DataSummary, Evaluated, Outcome, Relation, Verdict, label
from cortex.evaluation.sample_size import clusters_needed, least_shown, standard_error, widen
from cortex.evaluation.tries import Tries

MINIMUM_CLUSTERS = 30
MINIMUM_BLOCKS = 5
"""With fewer clusters, or fewer blocks of consecutive ones, an interval is too uncertain to support any claim."""

MINIMUM_VALID_SHARE = 0.5
"""Below this share of readable replies no skill is claimed, however good those replies are."""

FIRST = Tries()
"""The first look at a test set."""

_VERBS: dict[Relation, str] = {
    "beats": "beats",
    "not distinguishable from": "is not distinguishable from",
    "worse than": "is worse than",
}

_RIVALS: dict[Outcome, str] = {
    "shown": "That it beats the best of them is shown, whichever that is.",
    "harmful": "The best of them is better.",
    "not shown": "That it beats the best of them is not shown.",
    "cannot be told": "Whether it beats the best of them cannot be told.",
}


@dataclass(frozen=True)
class _Ruling:
    outcome: Outcome
    interval: Interval
    """The interval of the skill, as wide as the number of tries asks for."""
    least: float
    needed: int | None
    """Clusters in which a skill as observed would show; None where it is not above 0."""
    needed_for_worth: int
    """Clusters in which the least skill worth having would show."""
    refusal: str | None


def verdict(
    model: str,
    evaluated: Evaluated,
    comparisons: Sequence[Comparison],
    data: DataSummary,
    scale: Scale,
    tries: Tries = FIRST,
) -> Verdict:
    """Judge `model`: skill is shown only where the whole interval of its skill lies above 0.

    Of `comparisons`, those of `model` with the scale's rivals count.
    """
    ruling = _rule(evaluated, data, scale, tries)
    rivals = [each for each in comparisons if each.first == model and each.second in scale.rivals]
    against = _rule_rivals(rivals, ruling, data, tries)
    return Verdict(
        model=model,
        outcome=ruling.outcome,
        against_rivals=against,
        interval=ruling.interval,
        tries=tries,
        least_skill=ruling.least,
        clusters_needed=ruling.needed,
        reason=" ".join(_reasons(evaluated, ruling, data, scale, tries)),
        comparison=_against_rivals(rivals, against, scale),
    )


def _rule(evaluated: Evaluated, data: DataSummary, scale: Scale, tries: Tries) -> _Ruling:
    """The outcome, from the first rule of docs/judging.md that applies."""
    skill, plain = evaluated.skill, evaluated.intervals["skill"]
    # With fewer than two blocks Student's t has no degree of freedom left; there are then too few in any case.
    blocks = max(data.blocks, 2.0)
    interval, error = widen(plain, skill, blocks, tries.share), standard_error(plain, blocks)
    least = least_shown(error, blocks, tries.share)
    refusal = _refusal(evaluated, data, scale)
    if refusal is not None:
        outcome = "cannot be told"
    elif interval.low > 0:
        outcome = "shown"
    elif interval.high < 0:
        outcome = "harmful"
    else:
        outcome = "cannot be told" if least > scale.worth and interval.high >= scale.worth else "not shown"
    needed = clusters_needed(least, data.clusters, skill) if skill > 0 else None
    worth = clusters_needed(least, data.clusters, scale.worth)
    return _Ruling(outcome, interval, least, needed, worth, refusal)


def _refusal(evaluated: Evaluated, data: DataSummary, scale: Scale) -> str | None:
    """Reason to refuse any claim, however good the interval; None where there is none."""
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * data.block_length)
    if data.clusters < needed:
        period = "period" if data.times else "split"
        return f"The test {period} has {data.clusters} {scale.clusters}, too few to judge by: {needed} are needed."
    if evaluated.valid_share < MINIMUM_VALID_SHARE:
        read = f"Only {evaluated.valid_share:.0%} of the {scale.replies} could be read"
        return f"{read}; {MINIMUM_VALID_SHARE:.0%} are needed."
    return None


def _reasons(evaluated: Evaluated, ruling: _Ruling, data: DataSummary, scale: Scale, tries: Tries) -> Iterable[str]:
    """The reasons for the outcome, a sentence each."""
    if ruling.refusal:
        yield ruling.refusal
    plain, wide = evaluated.intervals["skill"], ruling.interval
    yield (
        f"{scale.skill} against the {label(scale.reference)} is {evaluated.skill:+z.3f}, "
        f"95% interval {plain.low:+z.3f} to {plain.high:+z.3f}, "
        f"on {data.test_examples:,} examples of {data.clusters} {scale.clusters}."
    )
    if tries.choice:
        yield tries.choice
    if tries.words:
        yield f"{tries.words} So the interval that decides is wider: {wide.low:+z.3f} to {wide.high:+z.3f}."
    if ruling.refusal or ruling.outcome == "shown":
        return
    if ruling.outcome == "harmful":
        yield f"All of it lies below 0: the {label(scale.reference)} does better."
        return
    yield f"Such a test shows a skill of {ruling.least:.3f} four times in five."
    if ruling.outcome == "cannot be told":
        needed = f"{ruling.needed_for_worth:,} {scale.clusters}"
        yield f"One of {scale.worth:.3f} is worth having, and could be told by about {needed}."
    if ruling.needed is not None and ruling.needed > data.clusters:
        yield f"If the skill is what was observed, about {ruling.needed:,} {scale.clusters} would show it."


def _rule_rivals(rivals: Sequence[Comparison], ruling: _Ruling, data: DataSummary, tries: Tries) -> Outcome | None:
    """The outcome against the best rival, without choosing one by the test.

    To beat the best is to beat each, so that each is tested at the full level (an intersection-union test: Berger 1982,
    "Multiparameter hypothesis testing and acceptance sampling"). To be worse than the best is to be worse than one of
    n, so that each is tested at 1 / n of the level (Bonferroni).
    """
    if not rivals:
        return None
    if ruling.refusal:
        return "cannot be told"
    blocks = max(data.blocks, 2.0)
    if all(widen(one.interval, one.difference, blocks, tries.share).low > 0 for one in rivals):
        return "shown"
    share = tries.share / len(rivals)
    if any(widen(one.interval, one.difference, blocks, share).high < 0 for one in rivals):
        return "harmful"
    return "cannot be told" if ruling.outcome == "cannot be told" else "not shown"


def _listed(names: Sequence[str]) -> str:
    """The names as a list in a sentence."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _against_rivals(comparisons: Sequence[Comparison], outcome: Outcome | None, scale: Scale) -> str:
    if outcome is None:
        return "It was not compared with any other."
    rivals: dict[Relation, list[str]] = {}
    for comparison in comparisons:
        rivals.setdefault(comparison.relation, []).append(label(comparison.second))
    words = [f"{_VERBS[relation]} {_listed(names)}" for relation, names in rivals.items()]
    return f"It {', and '.join(words)} (paired 95% intervals of the {scale.loss}). {_RIVALS[outcome]}"

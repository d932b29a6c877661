"""Scores of one contender, or of two on the same questions, with intervals that hold for all suites together.

With several suites, one in twenty 95% intervals would leave zero out by chance alone. So the intervals of differences
are made for 1 - 0.05 / S, S being the number of suites (Bonferroni): by chance, any of them leaves zero out in one
comparison of twenty.
"""

import math
from typing import Literal

import numpy as np
from scipy.special import ndtri

from cortex.benchmarks.answers_file import Benchmarked, SuiteAnswers
from cortex.errors import DataError
from cortex.evaluation.bootstrap import LEVEL, Resamples
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Floats
from cortex.evaluation.record import Interval, Record
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS

RESAMPLES = 2000

Change = Literal["better", "worse", "undecided", "too few questions"]


class SuiteScore(Record):
    """One contender's score on one suite."""

    score: float
    """The mean over its questions, 0 to 1."""
    interval: Interval | None
    """95%; null where there are too few questions."""


class SuiteResult(Record):
    """One suite: the contender's score, and its difference to another's."""

    suite: str
    questions: int
    clusters: int
    after: SuiteScore
    before: SuiteScore | None = None
    difference: float | None = None
    """Score after less score before."""
    interval: Interval | None = None
    """Of the difference, at `BenchmarkRecord.level`."""
    change: Change | None = None


class BenchmarkRecord(Record):
    """A benchmark of one contender, or of two."""

    model: str
    against: str | None
    level: float
    """Level of each difference's interval, with which all together hold at 95%."""
    resamples: int
    suites: list[SuiteResult]

    def sentences(self) -> list[str]:
        """A sentence for each suite whose interval decides; none for any other."""
        return [self._sentence(one) for one in self.suites if one.change in ("better", "worse")]

    def _sentence(self, one: SuiteResult) -> str:
        assert one.before and one.interval and one.difference is not None
        return (
            f"{one.suite}: {self.model} is {one.change} than {self.against}, with {one.after.score:.1%} after "
            f"{one.before.score:.1%} (difference {100 * one.difference:+.1f} points, interval "
            f"{100 * one.interval.low:+.1f} to {100 * one.interval.high:+.1f})."
        )


def record_benchmark(after: Benchmarked, before: Benchmarked | None, *, seed: int = 0) -> BenchmarkRecord:
    """The scores of a contender, and what changed against another one that was asked the same questions.

    Raises:
        DataError: the two were asked different questions, or no suite has an answer.
    """
    if not any(suite.answers for suite in after.suites.values()):
        raise DataError(f"{after.label} has no answers: name a benchmark with questions")
    names = list(after.suites)
    if before is not None and (missing := sorted(set(names) ^ set(before.suites))):
        raise DataError(f"only one of the two was asked {', '.join(missing)}: ask both for the same benchmarks")
    level = 1 - (1 - LEVEL) / len(names)
    return BenchmarkRecord(
        model=after.label,
        against=before.label if before else None,
        level=level,
        resamples=RESAMPLES,
        suites=[_result(name, after.suites[name], before and before.suites[name], level, seed) for name in names],
    )


def paired_interval(after: Floats, before: Floats, level: float) -> Interval:
    """The interval of the difference of two paired shares, of N scores that are 0 or 1 each.

    A bootstrap of a few differing pairs, all in one direction, leaves zero out although an exact test would not; this
    does not. Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data".
    """
    count = len(after)
    gained, lost = (float((after > before).sum()) + 1) / (count + 2), (float((after < before).sum()) + 1) / (count + 2)
    middle = gained - lost
    half = float(ndtri((1 + level) / 2)) * math.sqrt((gained + lost - middle**2) / (count + 2))
    return Interval(low=max(-1.0, middle - half), high=min(1.0, middle + half))


def _result(name: str, after: SuiteAnswers, before: SuiteAnswers | None, level: float, seed: int) -> SuiteResult:
    clusters = Clusters.read(after.frame(), after.span)
    scores = _scores(after)
    drawn = draw_questions(clusters, seed)
    given = SuiteResult(suite=name, questions=len(scores), clusters=len(clusters), after=_score(scores, drawn))
    if before is None:
        return given
    check_same(name, after, before)
    others = _scores(before)
    difference = float((scores - others).mean())
    interval = difference_interval(scores, others, drawn, level) if drawn else None
    return given.model_copy(
        update={
            "before": _score(others, drawn),
            "difference": difference,
            "interval": interval,
            "change": _change(interval),
        }
    )


def draw_questions(clusters: Clusters, seed: int) -> Resamples | None:
    """Resamples of the questions; None where they are too few to say anything."""
    if len(clusters) < MINIMUM_CLUSTERS:
        return None
    drawn = Resamples.draw(clusters, resamples=RESAMPLES, seed=seed)
    return drawn if len(clusters) >= MINIMUM_BLOCKS * drawn.block_length else None


def _scores(suite: SuiteAnswers) -> Floats:
    return np.array([one.score for one in suite.answers], dtype=np.float64)


def _score(scores: Floats, drawn: Resamples | None) -> SuiteScore:
    mean = float(scores.mean())
    return SuiteScore(score=mean, interval=drawn and drawn.interval(mean, drawn.means(scores), (0.0, 1.0)))


def difference_interval(after: Floats, before: Floats, drawn: Resamples, level: float) -> Interval:
    """The interval of a difference: of scores that are 0 or 1 the wider of the clusters' and the paired shares'."""
    change = after - before
    sampled = drawn.interval(float(change.mean()), drawn.means(change), (-1.0, 1.0), level=level)
    if not np.isin(np.concatenate([after, before]), (0.0, 1.0)).all():
        return sampled
    plain = paired_interval(after, before, level)
    return Interval(low=min(sampled.low, plain.low), high=max(sampled.high, plain.high))


def _change(interval: Interval | None) -> Change:
    if interval is None:
        return "too few questions"
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "undecided"


def check_same(name: str, after: SuiteAnswers, before: SuiteAnswers) -> None:
    """Refuse to compare answers to different questions.

    Raises:
        DataError: the questions are not the same ones, in the same order.
    """
    asked, others = ([one.id for one in suite.answers] for suite in (after, before))
    if asked != others:
        common = len(set(asked) & set(others))
        raise DataError(
            f"{name}: {len(asked):,} and {len(others):,} questions, of which {common:,} are the same: ask both "
            "contenders the same ones, with the same --limit and the same data"
        )

"""The judge of gates: the error that a gate saves, against random abstention at the same rate."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr
from scoringrules import interval_score

from cortex.domains.markets.certainty.certainty_case import Case, Market
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, Replaced
from cortex.domains.markets.forecasts import INTERVAL_LEVEL
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.confidence import Interval
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.study import Study
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS

MINIMUM_ABSTAINED = 10
"""Dates with an abstention, at least: what so few of them save is chance."""

MINIMUM_PART_BLOCKS = 3
"""Blocks of dates on either side of a gate's decisions, at least."""


@dataclass(frozen=True)
class Saving:
    """The error that a gate saves, of the forecasts of the walk's steps."""

    kept: float
    """Share of the forecasts that are kept; of replaced intervals, the share of outcomes inside."""
    error: float
    """Mean error of the forecasts that are kept, or of the replaced intervals."""
    without: float
    """Mean error of all: the expected error of random abstention; or of the stated intervals."""
    saved: float
    interval: Interval
    chance: float
    """One-sided p value of nothing saved."""
    against_reference: float
    """The part of `saved` that is not explained by the kept questions being easier for the base rate, too."""


@dataclass(frozen=True, eq=False)
class Bench:
    """The judged forecasts, and resamples of their dates that all gates and contenders share."""

    judged: Bools
    """The forecasts of the walk's steps (N)."""
    resamples: Resamples

    @classmethod
    def of(cls, study: Study, market: Market) -> "Bench":
        """Set up the bench. Raises CannotTellError where the walk has too few dates to judge by."""
        judged = np.zeros(len(market), dtype=np.bool_)
        for step in market.steps:
            judged[step.now] = True
        dates = len(np.unique(market.date[judged]))
        if dates < MINIMUM_CLUSTERS:
            raise CannotTellError(f"{dates} decision dates are left to judge by, and {MINIMUM_CLUSTERS} are needed")
        drawn = Resamples.draw(study.clusters.part(judged), resamples=len(study.resamples.counts), seed=study.seed)
        if dates < MINIMUM_BLOCKS * drawn.block_length:
            needed = MINIMUM_BLOCKS * drawn.block_length
            raise CannotTellError(f"{dates} decision dates of overlapping outcomes are left, and {needed} are needed")
        return cls(judged, drawn)

    def judge_kept(self, case: Case, kept: Kept) -> Saving:
        """Judge the decisions of a gate that abstains. Raises CannotTellError where one side of them is too small."""
        asked = case.valid[self.judged]
        keep = kept.keep[self.judged] & asked
        freedom = self._freedom(keep, asked)
        loss, edge = case.loss[self.judged], case.edge[self.judged]
        saved, replicates = self._difference(loss, keep, asked)
        without, share = float(loss[asked].mean()), float(keep.sum() / asked.sum())
        gained = float(edge[keep].mean() - edge[asked].mean())
        return Saving(
            share,
            without - saved,
            without,
            saved,
            self.resamples.interval(saved, replicates),
            _chance(saved, replicates, freedom),
            gained,
        )

    def judge_replaced(self, case: Case, replaced: Replaced) -> Saving:
        """Judge intervals by the score of Gneiting and Raftery 2007, eq. 43, beside the stated ones."""
        asked = (case.valid & ~np.isnan(replaced.low))[self.judged]
        outcome, alpha = case.market.outcome[self.judged], 1 - INTERVAL_LEVEL
        low, high = replaced.low[self.judged], replaced.high[self.judged]
        stated = interval_score(outcome, case.low[self.judged], case.high[self.judged], alpha)
        other = np.where(asked, interval_score(outcome, low, high, alpha), stated)
        dates = self._dates(asked)
        if dates < MINIMUM_CLUSTERS:
            raise CannotTellError(f"it states intervals on {dates} dates, and {MINIMUM_CLUSTERS} are needed")
        advantage = np.asarray(stated - other)
        replicates = self._mean_of(advantage, asked)
        saved = float(advantage[asked].mean())
        return Saving(
            float(((low <= outcome) & (outcome <= high))[asked].mean()),
            float(other[asked].mean()),
            float(np.asarray(stated)[asked].mean()),
            saved,
            self.resamples.interval(saved, replicates),
            _chance(saved, replicates, dates / self.resamples.block_length - 1),
            saved,
        )

    def _difference(self, loss: Floats, keep: Bools, asked: Bools) -> tuple[float, Floats]:
        """The mean loss of all less that of the kept ones, and its replicates."""
        replicates = self._mean_of(loss, asked) - self._mean_of(loss, keep)
        return float(loss[asked].mean() - loss[keep].mean()), replicates[~np.isnan(replicates)]

    def _mean_of(self, values: Floats, chosen: Bools) -> Floats:
        """The mean of the chosen values in each resample, NaN where none of them is drawn."""
        drawn = self.resamples.means(chosen.astype(np.float64))
        totals = self.resamples.means(np.where(chosen, values, 0.0))
        return np.divide(totals, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)

    def _dates(self, chosen: Bools) -> int:
        return len(np.unique(self.resamples.cluster[chosen]))

    def _freedom(self, keep: Bools, asked: Bools) -> float:
        """Blocks less one on the smaller side of the decisions. Raises CannotTellError where they are too few."""
        dates, away = self._dates(keep), self._dates(asked & ~keep)
        if not dates:
            raise CannotTellError("it always abstains")
        if not away:
            raise CannotTellError("it never abstains")
        if dates < MINIMUM_CLUSTERS:
            raise CannotTellError(f"it keeps forecasts of {dates} dates, and {MINIMUM_CLUSTERS} are needed")
        blocks = min(dates, away) / self.resamples.block_length
        if away < MINIMUM_ABSTAINED or blocks < MINIMUM_PART_BLOCKS:
            raise CannotTellError(f"it abstains on {away} dates and keeps {dates}: too few on one side to tell")
        return blocks - 1


def _chance(saved: float, replicates: Floats, freedom: float) -> float:
    """The one-sided p value by Student's t, the deviation being that of the replicates, widened for few blocks."""
    spread = float(replicates.std()) * math.sqrt((freedom + 1) / freedom)
    return float(stdtr(freedom, -saved / spread)) if spread > 0 else 1.0

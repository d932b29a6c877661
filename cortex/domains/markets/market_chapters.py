"""Chapters of a market's evaluation: analyses of the judged forecasts, each written in a module of its own."""

from collections.abc import Callable

import polars as pl

from cortex.domains.markets.backtest.backtest_chapter import backtest_analysis
from cortex.domains.markets.certainty.certainty_chapter import certainty_chapter
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.scores.abstaining import abstention_chapter
from cortex.domains.markets.scores.breakdown import breakdown_chapter
from cortex.domains.markets.scores.calibration_curve import calibration_chapter
from cortex.domains.markets.scores.interval_scores import interval_chapter
from cortex.domains.markets.scores.unfitted_baselines import unfitted_chapter
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.study import Study

Analysis = Callable[[DataConfig, Study, pl.DataFrame, pl.DataFrame], Chapter]
"""Takes the domain's configuration, the judged forecasts of N test examples, the training split and the test split (N
rows, in the order of the forecasts). Of each contender's grades, the numbers `p_up`, `expected_return`, `low` and
`high` are the forecasts themselves, an unreadable one standing as the base rate; `outcome` of the splits is the return
that followed."""

ANALYSES: tuple[Analysis, ...] = (
    calibration_chapter,
    interval_chapter,
    abstention_chapter,
    breakdown_chapter,
    certainty_chapter,
    backtest_analysis,
    unfitted_chapter,
)
"""In the order of their chapters on the page."""


def market_chapters(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> list[Chapter]:
    """The chapters of every analysis."""
    return [analyse(config, study, train, test) for analyse in ANALYSES]

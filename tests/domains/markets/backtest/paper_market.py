"""Small markets with a planted signal or none, and studies of forecasts of them, for the tests of the backtest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cortex.domains.markets import Markets
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.study import Study
from tests.evaluation.simulation import stated

MARKETS = Markets()
START = datetime(2021, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class PaperMarket:
    """Training and test examples, and the true odds of the bets that test decisions lead to (N)."""

    train: pl.DataFrame
    test: pl.DataFrame
    odds: Floats
    generator: np.random.Generator

    def noise(self) -> Floats:
        """Probabilities that know nothing (N)."""
        return np.clip(0.5 + 0.1 * self.generator.normal(size=len(self.test)), 0.05, 0.95)

    def study(self, stated_by: Mapping[str, Floats], judged: str) -> Study:
        """A study of models that state these probabilities (N each)."""
        outcome = self.test["outcome"].to_numpy()
        base = stated(np.full(len(outcome), 0.5)).graded(outcome)
        graded = {name: Grades.of(stated(p).graded(outcome), base) for name, p in stated_by.items()}
        clusters = Clusters.read(self.test, MARKETS.span(self.test))
        drawn = Resamples.draw(clusters, resamples=200)
        return Study({**graded, "base_rate": Grades.of(base, base)}, tuple(stated_by), judged, clusters, drawn, 0)


def make_market(
    seed: int, *, dates: int = 240, symbols: int = 4, strength: float = 0.0, horizon: int = 1, drift: float = 0.0
) -> PaperMarket:
    """Daily returns of 2% in size, whose odds to rise follow a signal that lasts for some days, times `strength`."""
    generator = np.random.default_rng(seed)
    shape = (2 * dates + horizon, symbols)
    signal = generator.normal(size=shape)
    for day in range(1, len(signal)):
        signal[day] = 0.9 * signal[day - 1] + np.sqrt(1 - 0.9**2) * signal[day]
    p_up = 1 / (1 + np.exp(-strength * signal))
    daily = np.abs(0.02 * generator.normal(size=shape)) * np.where(generator.random(shape) < p_up, 1, -1) + drift
    days = np.repeat(np.arange(2 * dates), symbols)
    outcome = np.stack([(1 + daily[day : day + horizon]).prod(axis=0) - 1 for day in range(2 * dates)])
    at = [START + timedelta(days=int(day)) for day in days]
    frame = pl.DataFrame(
        {
            "cluster": [f"{each:%Y-%m-%d}" for each in at],
            "at": at,
            "symbol": [f"S{index % symbols}" for index in range(len(at))],
            "outcome": outcome.ravel(),
            "outcome_time": [each + timedelta(days=horizon) for each in at],
        },
        schema_overrides={"at": pl.Datetime("us", "UTC"), "outcome_time": pl.Datetime("us", "UTC")},
    )
    end = dates * symbols
    return PaperMarket(frame[: end - horizon * symbols], frame[end:], p_up[dates : 2 * dates].ravel(), generator)

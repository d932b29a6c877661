"""A small market whose best forecast is known, for the tests of the evaluation."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cortex.domains.markets.forecasts import Floats, Forecasts

FEATURES = ["mom7", "flow", "noise"]


def make_examples(
    *, dates: int = 250, symbols: int = 4, strength: float = 1.0, horizon_days: int = 1, seed: int = 0
) -> pl.DataFrame:
    """Examples whose P(up) is a logistic function of `flow`, times `strength`; `mom7` and `noise` carry nothing.

    The first 60% of the dates train, the last 40% test.
    """
    generator = np.random.default_rng(seed)
    n = dates * symbols
    mom7, flow, noise = generator.normal(size=(3, n))
    p_up = 1 / (1 + np.exp(-strength * flow))
    sign = np.where(generator.random(n) < p_up, 1.0, -1.0)
    day = np.repeat(np.arange(dates), symbols)
    start = datetime(2021, 1, 1, tzinfo=UTC)
    decision_time = [start + timedelta(days=int(each)) for each in day]
    return pl.DataFrame(
        {
            "example_id": [f"S{index % symbols}-{index // symbols}" for index in range(n)],
            "prompt": ["forecast"] * n,
            "outcome": sign * np.abs(generator.standard_t(4, n)) * 0.02,
            "symbol": [f"S{index % symbols}" for index in range(n)],
            "decision_time": decision_time,
            "outcome_time": [each + timedelta(days=horizon_days) for each in decision_time],
            "split": np.where(day < 0.6 * dates, "train", "test"),
            "mom7": mom7,
            "flow": flow,
            "noise": noise,
            "oracle_p_up": p_up,
            "oracle_return": (2 * p_up - 1) * 0.02,
        }
    )


def stated(p_up: Floats) -> Forecasts:
    """Valid forecasts with these probabilities, and a return and an interval that do not matter."""
    n = len(p_up)
    return Forecasts(p_up, np.zeros(n), np.full(n, -0.05), np.full(n, 0.05), np.ones(n, dtype=np.bool_))

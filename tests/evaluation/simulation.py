"""A small market whose best forecast is known, and grades of probabilities, for the tests of the evaluation."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from cortex.domains.example_columns import one_turn
from cortex.domains.markets import Markets
from cortex.domains.markets.forecasts import Forecasts
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Bools, Floats, Grades
from cortex.evaluation.judging import Origin, evaluate
from cortex.evaluation.measure import REFERENCE_LOSS
from cortex.evaluation.record import Evaluation

FEATURES = ["mom7", "flow", "noise"]
MARKETS = Markets()
START = datetime(2021, 1, 1, tzinfo=UTC)


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
    at = [START + timedelta(days=int(each)) for each in day]
    outcome = sign * np.abs(generator.standard_t(4, n)) * 0.02
    return pl.DataFrame(
        {
            "id": [f"S{index % symbols}-{index // symbols}" for index in range(n)],
            "split": np.where(day < 0.6 * dates, "train", "test"),
            "cluster": [f"{each:%Y-%m-%d}" for each in at],
            "at": at,
            "messages": one_turn(pl.repeat("forecast", n, eager=True)),
            "truth": [str(each) for each in outcome],
            "symbol": [f"S{index % symbols}" for index in range(n)],
            "outcome": outcome,
            "outcome_time": [each + timedelta(days=horizon_days) for each in at],
            "mom7": mom7,
            "flow": flow,
            "noise": noise,
            "oracle_p_up": p_up,
            "oracle_return": (2 * p_up - 1) * 0.02,
        }
    )


def stated(p_up: Floats) -> Forecasts:
    """Forecasts with these probabilities; their return and interval do not matter."""
    n = len(p_up)
    return Forecasts(p_up, np.zeros(n), np.full(n, -0.05), np.full(n, 0.05))


def judge(
    models: Mapping[str, Sequence[Graded]],
    examples: pl.DataFrame,
    *,
    judged: str = "grpo",
    source: str = "a test",
    simulated: bool = True,
    resamples: int = 200,
    **options: Any,
) -> Evaluation:
    """The evaluation of models' grades on the test split of `examples`; further options are those of `evaluate`."""
    train, test = examples.filter(split="train"), examples.filter(split="test")
    given: dict[str, Any] = {
        "scale": MARKETS.scale,
        "measures": MARKETS.measures,
        "details": MARKETS.details,
    }
    baselines = MARKETS.baselines(train, test)
    given["origin"] = Origin(MARKETS.kind, source, simulated, len(train), MARKETS.facts(train, test))
    clusters = Clusters.read(test, MARKETS.span(test))
    return evaluate(models, baselines, clusters, judged=judged, resamples=resamples, **given | options)


def make_clusters(count: int, per_cluster: int = 1, *, span: int = 1, is_timed: bool = True) -> Clusters:
    """Clusters of equally many examples, a day apart where they have times."""
    times = tuple(START + timedelta(days=index) for index in range(count)) if is_timed else ()
    return Clusters(np.repeat(np.arange(count), per_cluster), tuple(map(str, range(count))), times, span)


def make_grades(p: Floats, came: Bools, *, base_rate: float = 0.5, valid: Bools | None = None) -> Grades:
    """Grades of probabilities by whether their events came; an invalid one counts as the base rate."""
    reference: Floats = np.array((base_rate - came) ** 2, dtype=np.float64)
    if valid is None:
        valid = np.ones(len(p), dtype=np.bool_)
    return Grades(np.where(valid, (p - came) ** 2, reference), valid, {REFERENCE_LOSS: reference})

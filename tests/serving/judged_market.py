"""A market's model that is judged by the real judges, without any training: it forecasts by one feature."""

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.markets.grading import Forecast, grade_forecast
from cortex.domains.view import Judged
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.judging import Origin, evaluate

SPREAD = 0.03


def judge(domain: Domain, examples: pl.DataFrame, feature: str, weight: float) -> Judged:
    """The record of forecasts whose probability of a rise is 1/2 and `weight` for each unit of a feature."""
    test = examples.filter(pl.col("split") == "test")
    train = examples.filter(pl.col("split") == "train")
    rate = float((train["outcome"] > 0).mean())  # type: ignore[arg-type]
    evaluation = evaluate(
        {"grpo": _grades(test, (0.5 + weight * test[feature]).clip(0.05, 0.95))},
        {"base_rate": _grades(test, pl.Series([rate] * len(test)))},
        Clusters.read(test, domain.span(test)),
        judged="grpo",
        scale=domain.scale,
        measures=domain.measures,
        origin=Origin("markets", "simulator", simulated=True, train_examples=len(train)),
        details=domain.details,
        groups=domain.groups,
        resamples=200,
    )
    return Judged(evaluation, "grpo")


def _grades(test: pl.DataFrame, stated: pl.Series) -> list[Graded]:
    pairs = zip(stated, test["outcome"], strict=True)
    return [grade_forecast(Forecast(p_up, 0.0, -SPREAD, SPREAD), outcome) for p_up, outcome in pairs]

"""Judging forecasts on the test split, and writing the results: `evaluation.json`, `evaluation.html`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from cortex.errors import DataError
from cortex.evaluation.baselines import fit_baselines
from cortex.evaluation.bootstrap import DateResamples, compare, horizon_in_steps, score_intervals
from cortex.evaluation.calibration import reliability
from cortex.evaluation.forecasts import Climatology, Forecasts
from cortex.evaluation.page import render_page
from cortex.evaluation.record import (
    HTML_NAME,
    JSON_NAME,
    Comparison,
    Curves,
    DataSummary,
    Derived,
    Evaluated,
    Evaluation,
    ReliabilityBin,
    Sample,
)
from cortex.evaluation.scores import Losses, losses, score
from cortex.evaluation.verdict import verdict
from cortex.market.outcomes import is_up

P_BINS = 20


def evaluate(
    examples: pl.DataFrame,
    forecasts: Mapping[str, Forecasts],
    *,
    judged: str,
    features: Sequence[str],
    source: str,
    simulated: bool,
    samples: Sequence[Sample] = (),
    derived: Sequence[Derived] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> Evaluation:
    """Judge models, given by name and in the order of their training, on the test split of `examples`.

    Each model's forecasts are in the order of the test rows. The baselines, and the base rate that skill is measured
    against, are fitted on the train split with the columns named in `features`. The verdict is about `judged`.

    Raises:
        DataError: a split is empty, a column is missing or unusable, forecasts do not fit the test rows, or a name is
            a baseline's or unknown.
    """
    train, test = (examples.filter(pl.col("split") == split) for split in ("train", "test"))
    baselines = fit_baselines(train, test, features)
    if judged not in forecasts or baselines.keys() & forecasts.keys():
        raise DataError(
            f"models {', '.join(forecasts)}: {judged!r}, which is judged, must be one of them, "
            f"and none may have the name of a baseline ({', '.join(baselines)})"
        )
    outcome = test["outcome"].to_numpy()
    base_rate = Climatology.of(train["outcome"].to_numpy()).base_rate
    decision_time, outcome_time = test["decision_time"].to_numpy(), test["outcome_time"].to_numpy()
    horizon_steps = horizon_in_steps(decision_time, outcome_time)
    drawn = DateResamples.draw(decision_time, horizon_steps, resamples=resamples, seed=seed)
    up = is_up(outcome)

    everyone = {**forecasts, **baselines}
    each = {name: losses(stated, outcome, base_rate) for name, stated in everyone.items()}
    evaluated = {
        name: Evaluated(
            scores=score(stated, outcome, base_rate),
            intervals=score_intervals(drawn, each[name]),
            curves=_curves(stated, each[name], up, drawn),
        )
        for name, stated in everyone.items()
    }
    comparisons = _comparisons(list(forecasts), list(baselines), each, drawn)
    data = DataSummary(
        source=source,
        simulated=simulated,
        train_examples=len(train),
        test_examples=len(test),
        symbols=test["symbol"].unique().sort().to_list(),
        decision_times=test["decision_time"].unique().sort().to_list(),
        horizon_days=float(np.median((outcome_time - decision_time) / np.timedelta64(1, "D"))),
        horizon_steps=horizon_steps,
        base_rate=base_rate,
        test_up_rate=float(up.mean()),
        block_length=drawn.block_length,
        resamples=resamples,
        seed=seed,
    )
    return Evaluation(
        data=data,
        verdict=verdict(judged, evaluated[judged], comparisons, data),
        models={name: evaluated[name] for name in forecasts},
        baselines={name: evaluated[name] for name in baselines},
        comparisons=comparisons,
        samples=list(samples),
        derived=list(derived),
    )


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write `evaluation.json` and the page `evaluation.html`, which needs no other file and no network."""
    (folder / JSON_NAME).write_text(evaluation.to_json(), encoding="utf-8")
    (folder / HTML_NAME).write_text(render_page(evaluation), encoding="utf-8")


def _comparisons(
    models: list[str], baselines: list[str], each: dict[str, Losses], drawn: DateResamples
) -> list[Comparison]:
    """Every model against every earlier model, and against every baseline."""
    return [
        compare(drawn, (first, each[first]), (second, each[second]))
        for index, first in enumerate(models)
        for second in [*models[:index], *baselines]
    ]


def _curves(stated: Forecasts, each: Losses, up: np.ndarray, drawn: DateResamples) -> Curves:
    bins = reliability(stated.p_up, up)
    counts, _ = np.histogram(stated.p_up, bins=P_BINS, range=(0, 1))
    gained = np.bincount(drawn.date, weights=each.reference_brier - each.brier).cumsum()
    return Curves(
        reliability=[
            ReliabilityBin(mean_p=p, up_rate=rate, count=int(count))
            for p, rate, count in zip(bins.mean_p, bins.up_rate, bins.count, strict=True)
        ],
        p_counts=counts.tolist(),
        cumulative_skill=(gained / each.reference_brier.sum()).tolist(),
    )

"""Baselines that learn from all features: logistic regression, and gradient-boosted trees.

The trees are scikit-learn's: its wheel brings its own OpenMP, where LightGBM's needs the system's libgomp, which slim
images lack.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cortex.domains.markets.forecasts import INTERVAL_LEVEL, Forecasts, interval_quantiles
from cortex.domains.markets.unfitted import UnfittedError
from cortex.evaluation.grades import Floats

MOST_TREES = 100
STEP = 0.05
LEAVES = 8
LEAST_IN_LEAF = 40
"""Sizes of the boosted trees: shallow and slow, since a return's features say little about it."""

CHECKED = 0.2
"""Share of the training split, its end, on which the number of trees is chosen."""

LEAST_ROWS = 200
"""Training rows below which no trees are fitted: a leaf would hold a fifth of them."""


def logistic_regression(
    train: pl.DataFrame, test: pl.DataFrame, features: Sequence[str], regularisation: float
) -> Forecasts:
    """P(up) from all features; the expected return mixes the mean training gain and loss by it.

    It is fitted on outcomes that moved, since it knows two classes; the share of those that did not then counts half.

    Raises:
        UnfittedError: every feature is constant.
    """
    varied = _varied(train, features)
    moved = train["outcome"].to_numpy() != 0
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000))
    model.fit(_matrix(train, varied)[moved], train["outcome"].to_numpy()[moved] > 0)
    p_train, p_test = (model.predict_proba(_matrix(frame, varied))[:, 1] for frame in (train, test))
    outcome, still = train["outcome"].to_numpy(), float(1 - moved.mean())
    expected_train, expected = (_expected(p, outcome, still) for p in (p_train, p_test))
    return with_residual_interval((1 - still) * p_test + still / 2, expected, outcome - expected_train)


def gradient_boosting(train: pl.DataFrame, test: pl.DataFrame, features: Sequence[str]) -> Forecasts:
    """P(up) and the interval's ends from all features by boosted trees (Ke et al. 2017, "LightGBM", in scikit-learn's
    form), the ends by quantile regression; the expected return as of logistic regression.

    The number of trees is the one with the lowest log loss on the end of the training split, predicted by trees that
    know only outcomes that were over before it began.

    Raises:
        UnfittedError: every feature is constant, there are too few rows, or no number of trees beat a constant.
    """
    varied = _varied(train, features)
    if len(train) < LEAST_ROWS:
        raise UnfittedError(f"{len(train)} training examples are too few for trees: {LEAST_ROWS} are needed")
    trees = _choose_trees(train, varied)
    outcome = train["outcome"].to_numpy()
    moved = outcome != 0
    x, x_test = _matrix(train, varied), _matrix(test, varied)
    model = _classifier(trees).fit(x[moved], outcome[moved] > 0)
    p_test = model.predict_proba(x_test)[:, 1]
    low, high = (
        HistGradientBoostingRegressor(
            loss="quantile",
            quantile=quantile,
            max_iter=MOST_TREES,
            learning_rate=STEP,
            max_leaf_nodes=LEAVES,
            min_samples_leaf=LEAST_IN_LEAF,
            early_stopping=False,  # pyright: ignore[reportArgumentType]  # its stub knows the default's type alone
        )
        .fit(x, outcome)
        .predict(x_test)
        for quantile in ((1 - INTERVAL_LEVEL) / 2, (1 + INTERVAL_LEVEL) / 2)
    )
    still = float(1 - moved.mean())
    p_up = (1 - still) * p_test + still / 2
    # Quantiles of separate fits may cross where a leaf holds few outcomes: they are put in order.
    return Forecasts(p_up, _expected(p_test, outcome, still), np.minimum(low, high), np.maximum(low, high))


def with_residual_interval(p_up: Floats, expected_return: Floats, residual: Floats) -> Forecasts:
    """Forecasts whose interval is where 90% of the training residuals lay around the expected return."""
    low, high = interval_quantiles(residual)
    return Forecasts(p_up, expected_return, expected_return + low, expected_return + high)


def _choose_trees(train: pl.DataFrame, features: Sequence[str]) -> int:
    times = np.sort(train["at"].to_numpy())
    start = times[int(len(times) * (1 - CHECKED))]
    moved = train["outcome"].to_numpy() != 0
    earlier = (train["outcome_time"].to_numpy() <= start) & moved
    later = (train["at"].to_numpy() >= start) & moved
    x, up = _matrix(train, features), train["outcome"].to_numpy() > 0
    if len(np.unique(up[earlier])) < 2 or not later.any():
        raise UnfittedError("the first four fifths of the training period have outcomes of one kind alone")
    model = _classifier(MOST_TREES).fit(x[earlier], up[earlier])
    losses = [log_loss(up[later], p[:, 1], labels=[False, True]) for p in model.staged_predict_proba(x[later])]
    constant = log_loss(up[later], np.full(int(later.sum()), up[earlier].mean()), labels=[False, True])
    if min(losses) >= constant:
        raise UnfittedError("on the last fifth of the training period, no number of trees did better than a constant")
    return int(np.argmin(losses)) + 1


def _classifier(trees: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=trees,
        learning_rate=STEP,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=LEAST_IN_LEAF,
        early_stopping=False,  # pyright: ignore[reportArgumentType]  # its stub knows the default's type alone
    )


def _expected(p: Floats, outcome: Floats, still: float) -> Floats:
    """Expected returns by the probability that a price which moves rises (N), from training outcomes."""
    gain, loss = outcome[outcome > 0].mean(), outcome[outcome < 0].mean()
    return (1 - still) * (p * gain + (1 - p) * loss)


def _varied(train: pl.DataFrame, features: Sequence[str]) -> list[str]:
    """The features that are not constant in training.

    Raises:
        UnfittedError: there are none.
    """
    varied = [name for name in features if train[name].min() != train[name].max()]
    if not varied:
        raise UnfittedError("every feature is constant in training")
    return varied


def _matrix(frame: pl.DataFrame, features: Sequence[str]) -> Floats:
    return frame.select(features).to_numpy()

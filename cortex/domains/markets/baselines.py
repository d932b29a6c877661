"""Baselines that a model has to beat: each is fitted on the training split and forecasts the test split."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cortex.domains.markets.examples import ORACLE
from cortex.domains.markets.forecasts import Climatology, Forecasts, interval_quantiles
from cortex.domains.markets.outcomes import rise
from cortex.errors import DataError
from cortex.evaluation.grades import Floats


def fit_baselines(
    train: pl.DataFrame,
    test: pl.DataFrame,
    features: Sequence[str],
    *,
    momentum: str = "mom7",
    regularisation: float = 1.0,
) -> dict[str, Forecasts]:
    """The forecasts of every baseline for the rows of `test`, by name.

    `base_rate` knows only the training outcomes; `momentum` knows the sign of one feature; `logistic_regression` knows
    all features, standardised, with C = `regularisation`; `oracle`, only where the data says what the best attainable
    forecast was (`oracle_p_up`, `oracle_return`), knows that.

    Raises:
        DataError: an empty split, a missing feature, or one with a null or a number that is not finite.
    """
    for feature in dict.fromkeys((momentum, *features)):
        for split, frame in (("train", train), ("test", test)):
            _check_feature(frame, feature, split)
    climatology = Climatology.of(train["outcome"].to_numpy())
    forecasts = {
        "base_rate": _base_rate(len(test), climatology),
        "momentum": _momentum(train, test, momentum, climatology),
        "logistic_regression": _logistic_regression(train, test, list(features), regularisation),
    }
    if _knows_oracle(test) and not (known := _with_oracle(train)).is_empty():
        forecasts["oracle"] = _oracle(known, test)
    return forecasts


def _base_rate(n: int, climatology: Climatology) -> Forecasts:
    stated = np.tile([climatology.base_rate, 0.0, climatology.low, climatology.high], (n, 1))
    return Forecasts(*stated.T)


def _momentum(train: pl.DataFrame, test: pl.DataFrame, feature: str, climatology: Climatology) -> Forecasts:
    """Training outcomes where the feature had the same sign, 0 being one of three; the base rate where it never had."""
    outcome, was = train["outcome"].to_numpy(), rise(train[feature].to_numpy())
    now = rise(test[feature].to_numpy())
    stated = np.tile([climatology.base_rate, 0.0, climatology.low, climatology.high], (len(test), 1))
    for sign in np.unique(was):
        followed = outcome[was == sign]
        stated[now == sign] = (rise(followed).mean(), followed.mean(), *interval_quantiles(followed))
    return Forecasts(*stated.T)


def _logistic_regression(
    train: pl.DataFrame, test: pl.DataFrame, features: list[str], regularisation: float
) -> Forecasts:
    """P(up) from all features; the expected return mixes the mean training gain and loss by it.

    It is fitted on outcomes that moved, since it knows two classes; the share of those that did not then counts half.
    """
    outcome = train["outcome"].to_numpy()
    up, moved = rise(outcome), outcome != 0
    still = 1 - moved.mean()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000))
    model.fit(train.select(features).to_numpy()[moved], up[moved] == 1)
    p_train, p_test = (model.predict_proba(frame.select(features).to_numpy())[:, 1] for frame in (train, test))
    gain, loss = outcome[up == 1].mean(), outcome[up == 0].mean()
    expected_train, expected = ((1 - still) * (p * gain + (1 - p) * loss) for p in (p_train, p_test))
    return _with_residual_interval((1 - still) * p_test + still / 2, expected, outcome - expected_train)


def _oracle(train: pl.DataFrame, test: pl.DataFrame) -> Forecasts:
    residual = (train["outcome"] - train["oracle_return"]).to_numpy()
    return _with_residual_interval(test["oracle_p_up"].to_numpy(), test["oracle_return"].to_numpy(), residual)


def _with_residual_interval(p_up: Floats, expected_return: Floats, residual: Floats) -> Forecasts:
    """Forecasts whose interval is where 90% of the training residuals lay around the expected return."""
    low, high = interval_quantiles(residual)
    return Forecasts(p_up, expected_return, expected_return + low, expected_return + high)


def _knows_oracle(frame: pl.DataFrame) -> bool:
    return _with_oracle(frame).height == frame.height


def _with_oracle(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows whose best forecast is known: that of feedback is not, even in a simulated market."""
    return frame.drop_nulls(ORACLE) if set(ORACLE) <= set(frame.columns) else frame.clear()


def _check_feature(frame: pl.DataFrame, feature: str, split: str) -> None:
    if frame.is_empty():
        raise DataError(f"the {split} split is empty: widen it in the profile")
    if feature not in frame.columns:
        raise DataError(f"the examples have no feature {feature!r}; their columns: {', '.join(frame.columns)}")
    usable = frame[feature].is_finite().fill_null(False)
    if not usable.all():
        row = int(usable.arg_min() or 0)
        raise DataError(f"feature {feature!r} of {split} row {row} is {frame[feature][row]}: drop such examples")

"""Baselines that a model has to beat: each is fitted on the training split and forecasts the test split.

A baseline that cannot be fitted states the base rate, and the reason is kept: no library's number after a warning is
judged, and the same baselines are there for every split of a history.
"""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from threadpoolctl import threadpool_limits

from cortex.domains.markets.examples import ORACLE
from cortex.domains.markets.forecasts import Climatology, Forecasts
from cortex.domains.markets.learned_baselines import gradient_boosting, logistic_regression, with_residual_interval
from cortex.domains.markets.simple_baselines import base_rate, mean_reversion, momentum, trailing_base_rate
from cortex.domains.markets.unfitted import UnfittedError
from cortex.errors import DataError

WEEK = "mom7"
"""The feature that momentum and mean reversion know, if no other is named: the return of seven bars. Weekly returns are
those for which reversal was first shown (Lehmann 1990, "Fads, martingales, and market efficiency")."""


@dataclass(frozen=True)
class Fitted:
    """Baselines by name."""

    forecasts: Mapping[str, Forecasts]
    """The forecasts of the test split's rows."""
    unfitted: Mapping[str, str]
    """Reasons, by name, of those that stand as the base rate."""


def fit_baselines(
    train: pl.DataFrame,
    test: pl.DataFrame,
    features: Sequence[str],
    *,
    momentum_of: str = WEEK,
    reversion_of: str = WEEK,
    regularisation: float = 1.0,
    only: Collection[str] | None = None,
) -> Fitted:
    """The forecasts of every baseline, or of those named in `only`, for the rows of `test`.

    `base_rate` knows only the training outcomes; `trailing_base_rate` the last outcomes that were over at each
    decision, those of test rows among them; `momentum` the sign of one feature; `mean_reversion` the level of another;
    `logistic_regression` knows all features, standardised, with C = `regularisation`; `gradient_boosting` all features,
    too; `oracle`, only where the data says what the best attainable forecast was (`oracle_p_up`, `oracle_return`),
    knows that.

    Raises:
        DataError: an empty split, a missing feature, or one with a null or a number that is not finite; or all training
            outcomes are on one side of 0.
    """
    names = list(features)
    for feature in dict.fromkeys((momentum_of, reversion_of, *names)):
        for split, frame in (("train", train), ("test", test)):
            _check_feature(frame, feature, split)
    climatology = Climatology.of(train["outcome"].to_numpy())
    plain = base_rate(len(test), climatology)
    fits: dict[str, Callable[[], Forecasts]] = {
        "base_rate": lambda: plain,
        "trailing_base_rate": lambda: trailing_base_rate(train, test, climatology),
        "momentum": lambda: momentum(train, test, momentum_of, climatology),
        "mean_reversion": lambda: mean_reversion(train, test, reversion_of),
        "logistic_regression": lambda: logistic_regression(train, test, names, regularisation),
        "gradient_boosting": lambda: gradient_boosting(train, test, names),
    }
    if _knows_oracle(test) and not (known := _with_oracle(train)).is_empty():
        fits["oracle"] = lambda: _oracle(known, test)
    forecasts: dict[str, Forecasts] = {}
    unfitted: dict[str, str] = {}
    # On one thread: sums of floats then do not depend on the number of cores.
    with threadpool_limits(limits=1):
        for name, fit in fits.items():
            if only is None or name in only:
                try:
                    forecasts[name] = _without_warnings(fit)
                except UnfittedError as error:
                    forecasts[name], unfitted[name] = plain, str(error)
    return Fitted(forecasts, unfitted)


def _without_warnings(fit: Callable[[], Forecasts]) -> Forecasts:
    """The forecasts of a baseline whose fit gave no warning of its numbers.

    Raises:
        UnfittedError: it gave one, as of iterations that did not converge.
    """
    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):
            warnings.simplefilter("error", kind)
        try:
            return fit()
        except (UserWarning, RuntimeWarning) as warning:
            first = str(warning).strip().split("\n", maxsplit=1)[0].rstrip(".:")
            raise UnfittedError(f"its fit ended in a warning, {type(warning).__name__}: {first}") from warning


def _oracle(train: pl.DataFrame, test: pl.DataFrame) -> Forecasts:
    residual = (train["outcome"] - train["oracle_return"]).to_numpy()
    return with_residual_interval(test["oracle_p_up"].to_numpy(), test["oracle_return"].to_numpy(), residual)


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

"""Regimes by a hidden Markov model of the market's features: abstention in those in which the model was no good.

Hamilton 1989, "A new approach to the economic analysis of nonstationary time series and the business cycle". Regimes
of test dates are filtered, not smoothed: each is inferred from features up to its own date alone.
"""

import logging

import numpy as np
from hmmlearn.hmm import GaussianHMM

from cortex.domains.markets.certainty.certainty_case import Case, Market
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, refusing_warnings
from cortex.domains.markets.certainty.walk_forward import Rows
from cortex.domains.markets.features import PRICE_FEATURES
from cortex.evaluation.grades import Floats

STATES = 2
DATES = 100
"""Training dates to fit, at least."""

KNOWN_DATES = 10
"""Known dates of a regime, at least, before it can speak against a forecast."""

ROUNDS = 200


def keep_in_good_regimes(case: Case) -> Kept:
    """Keep unless the mean edge of the known dates of the same regime was not above 0."""
    market = case.market
    regime = filter_regimes(market)[market.date]
    keep = np.ones(len(case.loss), dtype=np.bool_)
    for step in case.steps:
        for state in range(STATES):
            known = step.past[regime[step.past] == state]
            edge = market.daily(case.edge, known)
            if len(edge) >= KNOWN_DATES and edge.mean() <= 0:
                keep[step.now[regime[step.now] == state]] = False
    shares = np.bincount(regime, minlength=STATES) / len(regime)
    return Kept(keep, f"regimes of {' and '.join(f'{share:.0%}' for share in shares)} of the forecasts")


def filter_regimes(market: Market) -> Rows:
    """The likeliest regime of each test date (D), by a model that is fitted on the training dates."""
    columns = [at for at, name in enumerate(market.names) if name in PRICE_FEATURES] or [*range(len(market.names))][:5]
    trained = _by_date(market.train_features[:, columns], market.train_at)
    tested = _by_date(market.features[:, columns], market.at)
    if len(trained) < DATES:
        raise CannotTellError(f"{len(trained)} training dates, and {DATES} are needed to tell regimes apart")
    spread = trained.std(axis=0)
    trained, tested = ((dates - trained.mean(axis=0)) / np.where(spread > 0, spread, 1) for dates in (trained, tested))
    return _forward(_fit(trained[:, spread > 0], market.seed), tested[:, spread > 0])


def _fit(trained: Floats, seed: int) -> GaussianHMM:
    model = GaussianHMM(STATES, "diag", n_iter=ROUNDS, tol=1e-2, random_state=seed % 2**32)
    logger = logging.getLogger("hmmlearn")  # it logs what others warn of
    before, logger.disabled = logger.disabled, True
    try:
        with refusing_warnings("hmmlearn", ValueError):
            model.fit(trained)
    finally:
        logger.disabled = before
    if model.monitor_.iter >= ROUNDS or not np.isfinite(model.transmat_).all():
        raise CannotTellError(f"hmmlearn warned: the regimes did not converge in {ROUNDS} rounds")
    return model


def _forward(model: GaussianHMM, dates: Floats) -> Rows:
    """The forward pass of the filter: the state that is likeliest after each date, and no later one."""
    variances = np.array([np.diag(each) for each in np.asarray(model.covars_)])
    gaps = (dates[:, np.newaxis] - model.means_) ** 2 / variances
    log = -0.5 * (gaps + np.log(2 * np.pi * variances)).sum(axis=2)
    belief, found = model.get_stationary_distribution(), np.zeros(len(dates), dtype=np.intp)
    for date, density in enumerate(np.exp(log - log.max(axis=1, keepdims=True))):
        belief = (belief @ model.transmat_ if date else belief) * density
        belief /= belief.sum()
        found[date] = int(np.argmax(belief))
    return found


def _by_date(features: Floats, at: np.ndarray) -> Floats:
    """The mean of each feature over the symbols of each date (D x F)."""
    _, of = np.unique(at, return_inverse=True)
    count = np.bincount(of)
    return np.column_stack([np.bincount(of, weights=column) / count for column in features.T])

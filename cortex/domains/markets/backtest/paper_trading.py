"""The backtest of judged forecasts: every contender's account beside holdings that know nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from cortex.domains.markets.backtest.accounting import Account, keep_account
from cortex.domains.markets.backtest.capital_routing import Routing, route_capital
from cortex.domains.markets.backtest.deflation import Deflated, deflate
from cortex.domains.markets.backtest.grid import Grid, place_training
from cortex.domains.markets.backtest.known_calibration import calibrate_known
from cortex.domains.markets.backtest.overfitting import overfitting_probability
from cortex.domains.markets.backtest.performance import Figure, Performance, difference, measure_performance
from cortex.domains.markets.backtest.positions import (
    buy_and_hold,
    choose_positions,
    equal_weight,
    single_asset,
    usual_move,
)
from cortex.domains.markets.backtest.trading import Terms
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.grades import Floats
from cortex.evaluation.study import Study

EQUAL_WEIGHT, BUY_AND_HOLD, CASH = "equal_weight", "buy_and_hold", "cash"
ROUTED, AT_ONCE = "routed", "without_lag"
TRUTH = "oracle"
"""The contender that knows the odds of a simulated market: nobody could have tried it."""


@dataclass(frozen=True, eq=False)
class Result:
    """One contender's bets and their figures."""

    performance: Performance
    net: Floats
    """Return of each date's bets after costs (D)."""
    traded: float
    """Amount bought and sold a year, in units of the capital."""
    paid: float
    """Costs a year, as a fraction of the capital."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """All results, each by its contender's name."""

    grid: Grid
    terms: Terms
    cash: float
    """Return of cash over one horizon."""
    judged: str
    forecasters: Mapping[str, Result]
    """Models and baselines, which act on their forecasts."""
    holdings: Mapping[str, Result]
    """Equal weight, buy and hold, and cash, which know nothing."""
    at_once: Result
    """The judged model without the lag."""
    routed: Mapping[str, Result]
    """Capital routed by the judged model, and the best single asset of the training period; empty for one asset."""
    best_asset: str
    unsolved: int
    """Decisions at which capital stayed where it was, because no better routing was found."""
    deflated: Mapping[str, Deflated]
    """The models' Sharpe ratios, deflated."""
    overfitting: float | None
    """Probability of backtest overfitting over all forecasters."""
    resamples: Resamples

    @property
    def own(self) -> Result:
        """The judged model's result."""
        return self.forecasters[self.judged]

    def over_equal_weight(self, result: Result) -> Figure:
        """A result less that of equal weight, a year."""
        return difference(result.net, self.holdings[EQUAL_WEIGHT].net, self.grid.bets_per_year, self.resamples)


def run_backtest(study: Study, train: pl.DataFrame, test: pl.DataFrame, terms: Terms, *, tries: int = 1) -> Backtest:
    """Act on every contender's forecasts of the test examples.

    Args:
        test: The examples, in the order of the study's grades.
        tries: Models and settings that looked at this test; at least those that the study knows of.
    """
    grid = Grid.read(study.clusters, test)
    training = place_training(train, grid.symbols)
    move = usual_move(training)
    cash = float(np.expm1(np.log1p(terms.cash_rate) * grid.bet_years))
    bookkeeper = _Bookkeeper(grid, terms, cash, study)
    names = list(study.contenders)
    stated = np.stack([study.contenders[name].values("p_up") for name in names])
    outcome = train["outcome"].to_numpy()
    p_up = calibrate_known(stated, grid, outcome, terms.lag)
    targets = grid.delay(choose_positions(p_up, grid, move, terms), terms.lag)
    results = bookkeeper.results(names, targets, grid.returns)
    own = names.index(study.judged)
    now = calibrate_known(stated[own : own + 1], grid, outcome, 0)
    known_nothing = np.stack([equal_weight(grid), buy_and_hold(grid), np.zeros(grid.shape)])
    best = int(np.argmax(np.nan_to_num(_means(training), nan=-np.inf)))
    routing = route_capital(p_up[own], grid, move, training, terms) if len(grid.symbols) > 1 else None
    excess = {name: result.net - cash for name, result in results.items()}
    tried = np.stack([excess[name] for name in study.models])
    bets = len(grid.at) / grid.span
    return Backtest(
        grid,
        terms,
        cash,
        study.judged,
        forecasters=results,
        holdings=bookkeeper.results([EQUAL_WEIGHT, BUY_AND_HOLD, CASH], known_nothing, grid.filled_returns),
        at_once=bookkeeper.results([AT_ONCE], choose_positions(now, grid, move, terms), grid.returns)[AT_ONCE],
        routed=bookkeeper.routed(routing, best) if routing else {},
        best_asset=grid.symbols[best],
        unsolved=routing.unsolved if routing else 0,
        deflated={
            name: deflate(excess[name], tried, tries=max(tries, study.tries), bets=bets) for name in study.models
        },
        overfitting=overfitting_probability(
            np.stack([each for name, each in excess.items() if name != TRUTH]), grid.span
        ),
        resamples=study.resamples,
    )


def _means(training: Floats) -> Floats:
    there = np.isfinite(training)
    count = there.sum(axis=0)
    return np.where(count > 0, np.where(there, training, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


@dataclass(frozen=True, eq=False)
class _Bookkeeper:
    """Accounts of targets on one grid."""

    grid: Grid
    terms: Terms
    cash: float
    study: Study

    def results(self, names: Sequence[str], targets: Floats, returns: Floats) -> dict[str, Result]:
        """The results of targets (K x D x A) over returns (D x A), by name."""
        account = keep_account(targets, returns, span=self.grid.span, cost=self.terms.cost, cash=self.cash)
        return {name: self._result(account, row) for row, name in enumerate(names)}

    def routed(self, routing: Routing, best: int) -> dict[str, Result]:
        """The results of routed capital, and of the one asset that was best in training."""
        targets = np.stack([self.grid.delay(routing.targets, self.terms.lag), single_asset(self.grid, best)])
        return self.results([ROUTED, self.grid.symbols[best]], targets, self.grid.returns)

    def _result(self, account: Account, row: int) -> Result:
        per_year = self.grid.bets_per_year
        performance = measure_performance(
            account.net[row],
            cash=self.cash,
            span=self.grid.span,
            bets_per_year=per_year,
            resamples=self.study.resamples,
        )
        traded, paid = (float(each[row].mean() * per_year) for each in (account.traded, account.paid))
        return Result(performance, account.net[row], traded, paid)

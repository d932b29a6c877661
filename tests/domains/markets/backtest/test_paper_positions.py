"""Positions and routed capital: what each decision may know, and what it does with it."""

from dataclasses import replace

import numpy as np
import pytest

from cortex.domains.markets.backtest.capital_routing import allocate, route_capital
from cortex.domains.markets.backtest.grid import Grid, place_training
from cortex.domains.markets.backtest.known_calibration import FIRST_DATES, calibrate_known
from cortex.domains.markets.backtest.positions import choose_positions, usual_move
from cortex.domains.markets.backtest.trading import Terms, Trading, find_terms
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Floats

from .paper_market import MARKETS, PaperMarket, make_market

FREE = Terms(cost=0.0, lag=1, cap=0.5, short=True, cash_rate=0.0, risk_aversion=2.0)


def grid_of(market: PaperMarket) -> Grid:
    return Grid.read(Clusters.read(market.test, MARKETS.span(market.test)), market.test)


def decide(market: PaperMarket, grid: Grid, p: Floats, terms: Terms) -> list[Floats]:
    """Positions and routed shares, by the date of the decision."""
    training = place_training(market.train, grid.symbols)
    move = usual_move(training)
    p_up = calibrate_known(p[np.newaxis], grid, market.train["outcome"].to_numpy(), terms.lag)
    positions = choose_positions(p_up, grid, move, terms)[0]
    return [positions, route_capital(p_up[0], grid, move, training, terms).targets]


@pytest.mark.parametrize(("horizon", "lag"), [(1, 0), (1, 1), (5, 1), (2, 3)])
def test_another_future_changes_no_earlier_position(horizon: int, lag: int) -> None:
    market = make_market(3, dates=60, strength=2.0, horizon=horizon)
    grid, terms, cut = grid_of(market), replace(FREE, lag=lag), 40
    unknown = grid.known > grid.at[cut]
    outcome = np.where(unknown, -3 * grid.outcome, grid.outcome)
    stated = np.where(grid.date > cut, market.noise(), market.odds)
    was = decide(market, grid, market.odds, terms)
    now = decide(market, replace(grid, outcome=outcome), stated, terms)
    for before, after in zip(was, now, strict=True):
        assert before[FIRST_DATES + horizon + lag : cut + 1].any()
        assert np.array_equal(before[: cut + 1], after[: cut + 1])
        assert not np.array_equal(before[cut + 1 :], after[cut + 1 :])


def test_nothing_is_held_before_outcomes_are_known() -> None:
    market = make_market(0, dates=40, strength=3.0)
    for targets in decide(market, grid_of(market), market.odds, FREE):
        first = int(np.flatnonzero(targets.any(axis=1))[0])
        assert FIRST_DATES < first <= FIRST_DATES + 3


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_a_lag_moves_each_assets_positions_to_its_own_later_dates(lag: int) -> None:
    market = make_market(0, dates=12, symbols=2)
    kept = np.array([date % 3 > 0 or asset == 0 for date in range(12) for asset in range(2)])
    grid = grid_of(replace(market, test=market.test.filter(kept)))
    targets = grid.place(np.linspace(0.01, 0.2, len(grid.date)))
    delayed = grid.delay(targets[np.newaxis], lag)[0]
    for asset in range(2):
        there = grid.quoted[:, asset]
        assert delayed[there, asset][lag:] == pytest.approx(targets[there, asset][: there.sum() - lag])
        assert not delayed[there, asset][:lag].any() and not delayed[~there, asset].any()


def test_calibration_finds_a_skill_that_is_stated_too_strongly_and_ignores_noise() -> None:
    market = make_market(1, dates=400, symbols=3, strength=0.5)
    grid = grid_of(market)
    loud = np.clip(0.5 + 3 * (market.odds - 0.5), 0.01, 0.99)
    found = calibrate_known(np.stack([loud, market.noise()]), grid, market.train["outcome"].to_numpy(), 0)
    later = grid.date > 200
    errors = [np.abs(each - market.odds)[later].mean() for each in (found[0], loud)]
    assert errors[0] < errors[1] / 2
    assert found[1, later].std() < 0.05  # half of what it states


def test_a_short_position_needs_leave_and_an_edge_has_to_pay_for_its_trade() -> None:
    market = make_market(0, dates=4, symbols=2)
    grid, move = grid_of(market), np.array([0.02, 0.02])
    p_up = np.array([[0.50, 0.53, 0.60, 0.99, 0.40, 0.30, np.nan, 0.5]])
    long = choose_positions(p_up, grid, move, replace(FREE, cost=0.0005, short=False))[0].ravel()
    both = choose_positions(p_up, grid, move, replace(FREE, cost=0.0005))[0].ravel()
    assert long == pytest.approx([0, 0.05, 0.5, 0.5, 0, 0, 0, 0])
    assert both == pytest.approx([0, 0.05, 0.5, 0.5, -0.5, -0.5, 0, 0])


def test_routing_maximises_its_objective() -> None:
    """Against a search over all shares of three assets in steps of 1%."""
    generator = np.random.default_rng(0)
    steps = np.arange(0, 0.61, 0.01)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    grid = grid[grid.sum(axis=1) <= 1 + 1e-9]
    for _ in range(5):
        expected, root = 0.02 * generator.normal(size=3), 0.05 * generator.normal(size=(3, 3))
        covariance, before = root @ root.T, generator.dirichlet(np.ones(4))[:3] * 0.6
        terms = replace(FREE, cost=0.003, risk_aversion=3.0)

        def worth(shares: Floats) -> Floats:
            risk = np.einsum("...i,ij,...j", shares, covariance, shares)  # noqa: B023
            return shares @ expected - 1.5 * risk - 0.003 * np.abs(shares - before).sum(axis=-1)  # noqa: B023

        found = allocate(expected, covariance, before, np.ones(3, dtype=np.bool_), 0.6, terms)
        assert found is not None
        assert worth(found) >= worth(grid).max() - 1e-6
        assert found.min() >= 0 and found.max() <= 0.6 + 1e-9 and found.sum() <= 1 + 1e-9


def test_capital_stays_where_it_is_if_moving_costs_more_than_it_brings() -> None:
    held, quoted = np.array([0.3, 0.2]), np.ones(2, dtype=np.bool_)
    terms = replace(FREE, cost=0.01)
    stays = allocate(np.array([0.001, 0.002]), 1e-6 * np.eye(2), held, quoted, 0.5, terms)
    assert stays == pytest.approx(held, abs=1e-6)
    gone = allocate(np.array([0.001, 0.002]), 1e-6 * np.eye(2), held, np.array([True, False]), 0.5, terms)
    assert gone == pytest.approx([0.3, 0.0], abs=1e-6)


def test_costs_are_those_of_the_profile_or_usual_for_the_source() -> None:
    assert find_terms(None, currencies=False).cost == pytest.approx(0.0015)
    assert find_terms(None, currencies=True).cost == pytest.approx(0.0001)
    assert find_terms(Trading(fee_bps=2.0, half_spread_bps=1.0), currencies=False).cost == pytest.approx(0.0008)

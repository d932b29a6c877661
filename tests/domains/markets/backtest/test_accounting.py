"""The account of positions: money is neither made nor lost but by returns, interest and costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cortex.domains.markets.backtest.accounting import keep_account
from cortex.evaluation.grades import Floats

DATES, ASSETS = 7, 3
SPANS = st.integers(1, 3)
RETURNS = arrays(np.float64, (DATES, ASSETS), elements=st.floats(-0.9, 0.9))
TARGETS = arrays(np.float64, (1, DATES, ASSETS), elements=st.floats(-1 / ASSETS, 1 / ASSETS))
COSTS = st.floats(0, 0.05)


def test_two_dates_by_hand() -> None:
    """Half of 100 into an asset that rises by 10%, at 1%: 0.50 to buy. Then all of it is sold."""
    targets = np.array([[[0.5], [0.0]]])
    account = keep_account(targets, np.array([[0.10], [0.0]]), span=1, cost=0.01, cash=0.02)
    first = 0.995 * (0.5 * 1.1 + 0.5 * 1.02)
    share = 0.55 / 1.06
    second = (1 - 0.01 * share) * 1.02
    assert account.net[0] == pytest.approx([first - 1, second - 1])
    assert account.traded[0] == pytest.approx([0.5, share])
    assert account.paid[0] == pytest.approx([0.005, 0.01 * share])


@given(TARGETS, RETURNS, COSTS, SPANS, st.floats(0, 0.01))
@settings(max_examples=60, deadline=None)
def test_it_agrees_with_dollars_in_every_asset(
    targets: Floats, returns: Floats, cost: float, span: int, cash: float
) -> None:
    net = keep_account(targets, returns, span=span, cost=cost, cash=cash).net[0]
    for part in range(span):
        dollars, assets = 100.0, np.zeros(ASSETS)
        for date in range(part, DATES, span):
            total = dollars + assets.sum()
            fee = cost * np.abs(targets[0, date] * total - assets).sum()
            assets = targets[0, date] * (total - fee)
            # Short positions tie as much as long ones; what they brought in lies idle.
            free = total - fee - np.abs(assets).sum()
            dollars = total - fee - assets.sum() + free * cash
            assets = assets * (1 + returns[date])
            if date + span >= DATES:
                dollars += assets.sum() - cost * np.abs(assets).sum()
                assets = np.zeros(ASSETS)
            assert dollars + assets.sum() == pytest.approx(total * (1 + net[date]))


@given(RETURNS, COSTS, SPANS, st.floats(0, 0.1))
@settings(max_examples=20, deadline=None)
def test_no_position_earns_what_cash_does(returns: Floats, cost: float, span: int, cash: float) -> None:
    account = keep_account(np.zeros((1, DATES, ASSETS)), returns, span=span, cost=cost, cash=cash)
    assert account.net == pytest.approx(cash) and not account.traded.any() and not account.paid.any()


@given(TARGETS, RETURNS, COSTS, COSTS, SPANS)
@settings(max_examples=40, deadline=None)
def test_dearer_trades_never_leave_more(targets: Floats, returns: Floats, one: float, other: float, span: int) -> None:
    cheap, dear = (keep_account(targets, returns, span=span, cost=cost, cash=0.0).net for cost in sorted((one, other)))
    assert (dear <= cheap + 1e-12).all()


def test_a_part_that_lost_everything_stays_at_nothing() -> None:
    account = keep_account(np.array([[[-1.0], [1.0]]]), np.array([[1.5], [1.0]]), span=1, cost=0.0, cash=0.0)
    assert (1 + account.net[0]).prod() == 0

"""The terms of a backtest: costs, lag and limits, as a profile states them or as is usual for its source."""

from dataclasses import dataclass

from pydantic import Field

from cortex.section import Section

BPS = 1e-4
"""One basis point, a hundredth of a percent."""


class Trading(Section):
    """The terms on which forecasts are acted on, on paper. They change no score and no reward."""

    fee_bps: float | None = Field(default=None, ge=0, le=1000)
    """Fee of a trade, in hundredths of a percent of its amount. Default: 10, and 0 for currencies."""

    slippage_bps: float | None = Field(default=None, ge=0, le=1000)
    """Distance of the price that a trade gets from the one that it aims at. Default: 5, and 0 for currencies."""

    half_spread_bps: float | None = Field(default=None, ge=0, le=1000)
    """Half the distance between bid and ask. Default: 0, because slippage includes it, and 1 for currencies."""

    lag: int = Field(default=1, ge=0, le=100)
    """Decisions of the same symbol after which a position is taken: 1 acts at the next one's close. 0 trades at the
    very close that the decision is made from, which nobody can."""

    cap: float = Field(default=0.25, gt=0, le=1)
    """The largest share of the capital in one asset where capital is routed, or an equal share if that is more."""

    short: bool = False
    """Bet on falls, too. What it costs to borrow an asset is not counted."""

    cash_rate: float = Field(default=0.0, ge=-0.1, le=1)
    """Interest of cash, as a fraction a year."""

    risk_aversion: float = Field(default=2.0, gt=0, le=1000)
    """Weight of the variance where capital is routed: 1 aims at the fastest growth (Kelly), 2 at half of such bets."""


@dataclass(frozen=True)
class Terms:
    """The terms of one backtest."""

    cost: float
    """Cost of a trade, as a fraction of its amount."""
    lag: int
    cap: float
    short: bool
    cash_rate: float
    risk_aversion: float


def find_terms(trading: Trading | None, *, currencies: bool) -> Terms:
    """The terms that a profile states, or those that are usual for currencies or for other assets."""
    stated = trading or Trading()
    usual = (0.0, 0.0, 1.0) if currencies else (10.0, 5.0, 0.0)
    costs = (stated.fee_bps, stated.slippage_bps, stated.half_spread_bps)
    cost = BPS * sum(default if given is None else given for given, default in zip(costs, usual, strict=True))
    return Terms(cost, stated.lag, stated.cap, stated.short, stated.cash_rate, stated.risk_aversion)

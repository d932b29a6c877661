"""A simulated market whose best attainable score is known: the default source, and the one that tests use.

**The planted signal.** At the close of each day whose count since 1970-01-01 is divisible by `horizon_days`, a block
begins. The return over the block is positive with probability

    p = sigmoid( sum over metrics m of signal[m] * level(z_m) )

where z_m is m's z-score as `features.metric_features` computes it for that decision (lag and window included), and
`level` is the whole number from -2 to 2 that a compact prompt shows. Nothing else tells the direction: metrics are
drawn before prices and know nothing of them, and the size of the move is drawn without regard to its direction. So:

- the best possible probability forecast is p itself, and its expected Brier score is E[p (1 - p)];
- against a constant forecast of one half, which scores 0.25, its Brier skill is 1 - 4 E[p (1 - p)];
- a forecaster that sees only one metric can at best state the mean of p given that metric's level.

With the default weights the oracle's skill is about 0.3, of which `flow` alone carries about three fifths.

**The size of a move.** The log return over a block is +-v * sqrt(horizon) * |t|. v is the daily volatility at the
decision: a market-wide Markov chain of calm, normal and turbulent regimes times each chain's own AR(1) log-volatility.
t is Student's with 4 degrees of freedom, |t| cut at 8. The daily path inside a block is a bridge to its end.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.domain import Workspace
from cortex.domains.markets.closing import day_closed, day_of
from cortex.domains.markets.config import CHAINS, Metric, SimulatorConfig
from cortex.domains.markets.features import level, metric_features
from cortex.domains.markets.source import MarketTables, Pieces, one_piece

FloatArray = NDArray[np.float64]

DEGREES_OF_FREEDOM = 4
LARGEST_MULTIPLE = 8.0

_METRICS: dict[Metric, float] = {
    "flow": 2.0e5,
    "whales": 60.0,
    "active": 4.0e4,
    "fees": 900.0,
    "stables": 3.0e7,
}  # usual daily size
_SIGNED = ("flow",)
_METRIC_PERSISTENCE = 0.7  # a day's autocorrelation: levels last some days, and a window sees all five of them
_REGIME_VOLATILITY = np.array([0.021, 0.034, 0.058])
_REGIME_CHANGE = np.array([[0.98, 0.02, 0.0], [0.01, 0.97, 0.02], [0.0, 0.04, 0.96]])
_VOLATILITY_PERSISTENCE, _VOLATILITY_SPREAD = 0.95, 0.25


@dataclass(frozen=True)
class Simulator:
    """A `Source` of simulated chains: the same arguments give the same tables."""

    config: SimulatorConfig
    horizon_days: int
    onchain_lag_days: int
    window_days: int
    seed: int

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self.load())

    def describe(self) -> dict[str, object]:
        return {
            "name": "simulator",
            "seed": self.seed,
            "horizon_days": self.horizon_days,
            "onchain_lag_days": self.onchain_lag_days,
            "window_days": self.window_days,
            **self.config.model_dump(mode="json", exclude={"kind"}),
        }

    def load(self) -> MarketTables:
        """The tables, with an oracle row for each block's decision.

        The oracle's `expected_return` is exact given p and the volatility v, which a forecaster has to infer from
        past moves (`vol`, `range`): no forecast has a lower expected squared error.
        """
        # One random stream each, so that another signal changes neither the metrics nor the sizes of moves.
        metrics_rng, size_rng, direction_rng = (
            np.random.default_rng(s) for s in np.random.SeedSequence(self.seed).spawn(3)
        )
        keys = self._keys()
        onchain = self._onchain(keys, metrics_rng)
        p_up = self._p_up(keys, onchain)
        volatility = self._volatility(size_rng)
        prices = self._prices(keys, p_up, volatility, size_rng, direction_rng)
        move = volatility * math.sqrt(self.horizon_days)
        oracle = keys.with_columns(
            pl.Series("p_up", p_up.ravel()), pl.Series("expected_return", expected_return(p_up, move).ravel())
        ).filter(day_of().to_physical() % self.horizon_days == 0)
        return MarketTables(prices, onchain, oracle)

    def _keys(self) -> pl.DataFrame:
        """symbol and time of every row of every table. Arrays below are (chain, day) in this order."""
        symbols = pl.DataFrame({"symbol": sorted(CHAINS[: self.config.chains])})
        start = pl.lit(self.config.start)
        days = pl.select(pl.date_range(start, start.dt.offset_by(f"{self.config.days - 1}d")).alias("date"))
        return symbols.join(days.select(day_closed().alias("time")), how="cross")

    def _onchain(self, keys: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        shape = (self.config.chains, self.config.days)
        return keys.with_columns(pl.Series(name, draw_metric(name, shape, rng).ravel()) for name in _METRICS)

    def _p_up(self, keys: pl.DataFrame, onchain: pl.DataFrame) -> FloatArray:
        known = metric_features(keys, onchain, lag_days=self.onchain_lag_days, window=self.window_days)
        p_up = known.with_columns(rise_probability(self.config.signal).alias("p_up"))["p_up"]
        return p_up.to_numpy().reshape(self.config.chains, self.config.days)

    def _volatility(self, rng: np.random.Generator) -> FloatArray:
        """Daily volatility (a fraction), shape (chain, day)."""
        draws = rng.random(self.config.days)
        steps = _REGIME_CHANGE.cumsum(axis=1)[:, :-1]
        regimes = np.empty(self.config.days, dtype=np.intp)
        regime = 1
        for day, draw in enumerate(draws):
            regime = int(np.searchsorted(steps[regime], draw, side="right"))
            regimes[day] = regime
        own = _autoregression(rng.standard_normal((self.config.chains, self.config.days)), _VOLATILITY_PERSISTENCE)
        return _REGIME_VOLATILITY[regimes] * np.exp(_VOLATILITY_SPREAD * own)

    def _prices(
        self,
        keys: pl.DataFrame,
        p_up: FloatArray,
        volatility: FloatArray,
        size_rng: np.random.Generator,
        direction_rng: np.random.Generator,
    ) -> pl.DataFrame:
        shape, horizon = volatility.shape, self.horizon_days
        # Days outside whole blocks, at both ends, move by noise alone.
        returns = volatility * size_rng.standard_normal(shape)
        epoch_day = keys.select(day_of()).to_series().to_physical().to_numpy()[: shape[1]]
        starts = np.flatnonzero(epoch_day % horizon == 0)
        starts = starts[starts + horizon < shape[1]]
        multiple = np.minimum(
            np.abs(size_rng.standard_t(DEGREES_OF_FREEDOM, (shape[0], len(starts)))), LARGEST_MULTIPLE
        )
        direction = np.where(direction_rng.random(multiple.shape) < p_up[:, starts], 1.0, -1.0)
        total = direction * multiple * volatility[:, starts] * math.sqrt(horizon)
        days = starts[:, None] + np.arange(1, horizon + 1)
        path = returns[:, days]
        returns[:, days] = path - path.mean(axis=2, keepdims=True) + total[:, :, None] / horizon

        close = size_rng.lognormal(3.0, 1.5, (shape[0], 1)) * np.exp(returns.cumsum(axis=1))
        opened = close * np.exp(-returns)
        wick = np.exp(0.4 * volatility * np.abs(size_rng.standard_normal((2, *shape))))
        return keys.with_columns(
            pl.Series("open", opened.ravel()),
            pl.Series("high", (np.maximum(opened, close) * wick[0]).ravel()),
            pl.Series("low", (np.minimum(opened, close) / wick[1]).ravel()),
            pl.Series("close", close.ravel()),
        )


def draw_metric(name: Metric, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """A made-up metric of this shape (chain, day), of each chain's own size."""
    state = _autoregression(rng.standard_normal(shape), _METRIC_PERSISTENCE)
    chain_size = _METRICS[name] * rng.lognormal(sigma=0.8, size=(shape[0], 1))
    return chain_size * (state if name in _SIGNED else np.exp(0.4 * state))


def rise_probability(signal: Mapping[Metric, float]) -> pl.Expr:
    """The planted probability of a rise, from columns with the z-score of each metric."""
    pulls = (weight * level(pl.col(metric)).fill_null(0) for metric, weight in signal.items())
    logit = reduce(pl.Expr.add, pulls, pl.lit(0.0))
    return 1 / (1 + (-logit).exp())


def expected_return(p_up: FloatArray, move: FloatArray) -> FloatArray:
    """E[exp(+-move * |t|) - 1] with P(+) = p_up, by the midpoint rule over the density of |t| cut at 8."""
    nodes, step = np.linspace(0, LARGEST_MULTIPLE, 401, retstep=True)
    middle = (nodes[1:] + nodes[:-1]) / 2
    nu = DEGREES_OF_FREEDOM
    constant = 2 * math.gamma((nu + 1) / 2) / (math.sqrt(nu * math.pi) * math.gamma(nu / 2))
    weight = constant * (1 + middle**2 / nu) ** (-(nu + 1) / 2) * step
    multiples = np.append(middle, LARGEST_MULTIPLE)
    weight = np.append(weight, 1 - weight.sum())
    exponent = np.multiply.outer(move, multiples)
    up, down = np.exp(exponent) @ weight, np.exp(-exponent) @ weight
    return p_up * up + (1 - p_up) * down - 1


def _autoregression(noise: FloatArray, persistence: float) -> FloatArray:
    """x[t] = persistence * x[t-1] + noise, along the last axis, scaled to unit variance from the first day on."""
    state = noise.copy()
    innovation = math.sqrt(1 - persistence**2)
    for day in range(1, state.shape[-1]):
        state[..., day] = persistence * state[..., day - 1] + innovation * noise[..., day]
    return state

"""The test examples by decision date and asset, and the shift from a decision to the one at which it is acted on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Bools, Floats

YEAR = 365.25 * 86_400e6
"""Microseconds of a year."""

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Grid:
    """N examples on D dates of A assets."""

    date: Indices
    """Index of each example's date (N)."""
    asset: Indices
    """Index of each example's asset (N)."""
    symbols: tuple[str, ...]
    """Names of the assets (A), sorted."""
    at: NDArray[np.int64]
    """Time of each date's decisions (D), in microseconds since 1970."""
    known: NDArray[np.int64]
    """Time at which each example's outcome was known (N)."""
    outcome: Floats
    """Return that followed each example (N), a fraction."""
    span: int
    """Dates that one outcome spans at most; 1 where outcomes do not overlap."""

    @classmethod
    def read(cls, clusters: Clusters, test: pl.DataFrame) -> "Grid":
        """Place the test examples, in the order of the clusters' examples."""
        symbols = test["symbol"].unique().sort()
        at = np.zeros(len(clusters), dtype=np.int64)
        at[clusters.of] = test["at"].dt.epoch("us").to_numpy()
        return cls(
            clusters.of,
            symbols.search_sorted(test["symbol"]).to_numpy().astype(np.intp),
            tuple(symbols),
            at,
            test["outcome_time"].dt.epoch("us").to_numpy(),
            test["outcome"].to_numpy(),
            clusters.span,
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.at), len(self.symbols)

    @property
    def years(self) -> float:
        """Length of the test, from the first decision to the last outcome."""
        return float(self.known.max() - self.at.min()) / YEAR

    @property
    def bet_years(self) -> float:
        """Usual time from a decision to its outcome."""
        return float(np.median(self.known - self.at[self.date])) / YEAR

    @property
    def bets_per_year(self) -> float:
        """Bets that follow one another without an overlap, in a year."""
        return len(self.at) / self.span / self.years

    @property
    def quoted(self) -> Bools:
        """Dates on which each asset has an example (D x A)."""
        found = np.zeros(self.shape, dtype=np.bool_)
        found[self.date, self.asset] = True
        return found

    @property
    def returns(self) -> Floats:
        """The outcomes by date and asset (D x A); 0 where there is none."""
        return self.place(self.outcome)

    @property
    def filled_returns(self) -> Floats:
        """The outcomes by date and asset (D x A); the mean of its date's where there is none."""
        returns, quoted = self.returns, self.quoted
        return np.where(quoted, returns, (returns.sum(axis=1) / quoted.sum(axis=1))[:, np.newaxis])

    def place(self, values: Floats) -> Floats:
        """Values of the examples (... x N) by date and asset (... x D x A); 0 where there is none."""
        placed = np.zeros((*values.shape[:-1], *self.shape))
        placed[..., self.date, self.asset] = values
        return placed

    def acted(self, lag: int) -> Indices:
        """The example, of the same asset, at whose close each example's decision is acted on (N); -1 for none."""
        order = np.lexsort((self.date, self.asset))
        found = np.full(len(order), -1, dtype=np.intp)
        last = len(order) - lag
        same = self.asset[order[:last]] == self.asset[order[lag:]]
        found[order[:last][same]] = order[lag:][same]
        return found

    def delay(self, targets: Floats, lag: int) -> Floats:
        """Targets by the date on which they are acted on (... x D x A), from those by the date of the decision.

        Each asset's wait for its own next decisions. Where shares of several dates meet and sum to more than all of the
        capital, they are scaled down to it.
        """
        acted = self.acted(lag)
        from_, to = np.flatnonzero(acted >= 0), acted[acted >= 0]
        delayed = np.zeros_like(targets)
        delayed[..., self.date[to], self.asset[to]] = targets[..., self.date[from_], self.asset[from_]]
        gross = np.abs(delayed).sum(axis=-1, keepdims=True)
        return delayed / np.maximum(gross, 1.0)


def place_training(train: pl.DataFrame, symbols: Sequence[str]) -> Floats:
    """Training outcomes by date and asset (T x A); NaN where there is none."""
    rows = train.filter(pl.col("symbol").is_in(symbols))
    dates = rows["at"].unique().sort()
    placed = np.full((len(dates), len(symbols)), np.nan)
    column = pl.Series(symbols).search_sorted(rows["symbol"]).to_numpy()
    placed[dates.search_sorted(rows["at"]).to_numpy(), column] = rows["outcome"].to_numpy()
    return placed

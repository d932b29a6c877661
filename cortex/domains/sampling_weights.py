"""Sampling weights of training examples: decay by age, and strata raked to the shares that a profile gives them."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from cortex.domains.drawing_rows import Floats, Places
from cortex.domains.mixing_section import EQUAL, Mixing, Shares
from cortex.errors import DataError

ROUNDS = 500
"""Most rounds of raking: two or three strata of a market need about ten."""

CLOSE = 1e-6
"""Largest difference of a share from the one that was asked for."""

_MICROSECONDS_A_DAY = 86_400e6


def sampling_weights(rows: pl.DataFrame, mixing: Mixing) -> Floats:
    """Weights of training examples (N).

    `rows` has the column `at` and one of strings for each of the mixing's strata.

    Raises:
        DataError: examples without a time are to be weighted by age, or shares cannot be reached.
    """
    weights = _decay(rows["at"], mixing.half_life_days)
    codes = {name: rows[name] for name in mixing.shares}
    wanted = {name: _wanted(name, codes[name], shares) for name, shares in mixing.shares.items()}
    return rake(weights, codes, wanted)


def rake(weights: Floats, codes: Mapping[str, pl.Series], wanted: Mapping[str, Mapping[str, float]]) -> Floats:
    """Weights with the wanted share in every stratum: iterative proportional fitting (Deming and Stephan, 1940).

    `codes` has the stratum of each row by the name of a division; `wanted` has each stratum's share, which sum to 1.

    Raises:
        DataError: the shares of several divisions exclude one another.
    """
    places = {name: _places(series, wanted[name]) for name, series in codes.items()}
    for _ in range(ROUNDS):
        off = 0.0
        for name, place in places.items():
            shares = np.array(list(wanted[name].values()))
            sums = np.bincount(place, weights, minlength=len(shares))
            off = max(off, float(np.abs(sums / sums.sum() - shares).max()))
            weights = weights * np.divide(shares, sums, out=np.zeros_like(shares), where=sums > 0)[place]
            if not weights.any():
                break
        if off < CLOSE:
            return weights
    raise DataError(
        f"mixing.shares of {' and '.join(wanted)} cannot all be reached: too few training examples belong to certain "
        "strata of both: leave one of them out"
    )


def _decay(at: pl.Series, half_life_days: float | None) -> Floats:
    if half_life_days is None:
        return np.ones(len(at))
    if at.null_count():
        raise DataError("mixing.half_life_days: examples of this domain have no time: leave it out")
    age = (at.max() - at).dt.total_microseconds().to_numpy() / _MICROSECONDS_A_DAY  # type: ignore[operator]
    return 0.5 ** (age / half_life_days)


def _wanted(name: str, codes: pl.Series, shares: str | Shares) -> dict[str, float]:
    """The share of each stratum that there is, or that is asked for."""
    there = sorted(codes.unique())
    if isinstance(shares, str):
        assert shares == EQUAL
        return dict.fromkeys(there, 1 / len(there))
    if absent := [value for value, share in shares.items() if share and value not in there]:
        raise DataError(f"mixing.shares.{name}: no training example is {absent[0]}: give it a share of 0")
    if unnamed := [value for value in there if value not in shares]:
        raise DataError(f"mixing.shares.{name}: some training examples are {unnamed[0]}: give it a share")
    total = sum(shares.values())
    return {value: share / total for value, share in shares.items()}


def _places(codes: pl.Series, wanted: Mapping[str, float]) -> Places:
    """The place of each row's stratum among the wanted ones (N)."""
    return codes.replace_strict({value: place for place, value in enumerate(wanted)}, return_dtype=pl.Int64).to_numpy()

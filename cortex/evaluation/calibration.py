"""Calibration: comparison of stated probabilities with realised rates."""

from dataclasses import dataclass

import numpy as np

from cortex.evaluation.forecasts import Bools, Floats

BINS = 10


@dataclass(frozen=True, eq=False)
class Reliability:
    """Data of a reliability diagram: B bins of forecasts, each field an array of length B."""

    mean_p: Floats
    up_rate: Floats
    count: Floats

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean gap between stated and realised rate, each bin by its weight.

        Naeini, Cooper, Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning".
        """
        return float(np.average(np.abs(self.mean_p - self.up_rate), weights=self.count))


def reliability(p_up: Floats, up: Bools, bins: int = BINS) -> Reliability:
    """Group N forecasts into bins of equal mass and compare each bin's mean probability with its rate of up.

    Equal probabilities always share a bin, so the order of the examples does not matter; a model that states few
    distinct probabilities fills fewer than `bins`.
    """
    edges = np.quantile(p_up, np.linspace(0, 1, bins + 1)[1:-1])
    bin_of = np.searchsorted(edges, p_up)
    count = np.bincount(bin_of, minlength=bins)
    filled = count > 0
    sums = [np.bincount(bin_of, weights=values, minlength=bins)[filled] for values in (p_up, up)]
    weights = count[filled].astype(np.float64)
    return Reliability(sums[0] / weights, sums[1] / weights, weights)

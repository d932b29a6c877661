"""Effective number of independent outcomes of a split, and the least skill that so many can show."""

import numpy as np
import polars as pl

from cortex.auditing.audit_record import SplitPower
from cortex.domains.audit_view import AuditView
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Floats
from cortex.evaluation.sample_size import SEEN

MOST_SERIES = 500
"""Series whose correlations are computed: their matrix has that many rows and columns."""


def split_power(rows: pl.DataFrame, view: AuditView, span: int) -> SplitPower:
    """The power of one split. `span` is the number of consecutive clusters that share an outcome."""
    clusters = Clusters.read(rows, span)
    if view.happened is None:
        counts = rows["truth"].value_counts(sort=True)["count"]
        independent = len(clusters) / span
        return SplitPower(len(rows), counts[0] / len(rows), independent, _skill_of_answers(independent))
    happened = view.happened.to_numpy().astype(np.float64)
    worth = _alike_in_clusters(happened, clusters)
    if view.series:
        worth = max(worth, _alike_series(happened, clusters, rows[view.series]))
    independent = max(1.0, len(rows) / worth / span)
    return SplitPower(len(rows), float(happened.mean()), independent, _skill_of_probabilities(independent))


def _alike_in_clusters(outcome: Floats, clusters: Clusters) -> float:
    """Number of outcomes of a cluster that tell as much as one.

    With an intraclass correlation rho, estimated by an analysis of variance, m outcomes are worth m / (1 + (m - 1) rho)
    (Kish 1965, "Survey Sampling", ch. 5).
    """
    sizes = np.bincount(clusters.of, minlength=len(clusters)).astype(np.float64)
    count, groups = len(outcome), len(clusters)
    if groups < 2 or count == groups:
        return float(count / groups)
    means = np.bincount(clusters.of, weights=outcome, minlength=groups) / sizes
    usual = (count - (sizes**2).sum() / count) / (groups - 1)
    between = (sizes * (means - outcome.mean()) ** 2).sum() / (groups - 1)
    within = ((outcome - means[clusters.of]) ** 2).sum() / (count - groups)
    spread = between + (usual - 1) * within
    alike = min(max((between - within) / spread, 0.0), 1.0) if spread > 0 else 0.0
    return float(1 + (usual - 1) * alike)


def _alike_series(outcome: Floats, clusters: Clusters, series: pl.Series) -> float:
    """The same by the squared correlations of series, which also sees those that move against one another.

    It is 1 plus the sum over all other series of rho^2, less the 1 / n that n independent outcomes give by chance: the
    inverse of the participation ratio of the correlation matrix's eigenvalues.
    """
    codes = series.rank("dense").to_numpy().astype(np.intp) - 1
    chosen = codes < MOST_SERIES
    shape = (len(clusters), int(codes[chosen].max(initial=0)) + 1)
    values, there = np.zeros(shape), np.zeros(shape)
    means = np.bincount(codes, weights=outcome) / np.maximum(np.bincount(codes), 1)
    at = clusters.of[chosen], codes[chosen]
    values[at], there[at] = (outcome - means[codes])[chosen], 1.0
    common = there.T @ there
    spread = (values**2).T @ there
    shared = np.divide(
        (values.T @ values) ** 2, spread * spread.T, out=np.zeros_like(common), where=spread.T * spread > 0
    )
    surplus = common * shared - (common > 0)
    np.fill_diagonal(surplus, 0.0)
    return float(max(1.0, 1 + surplus.sum() / there.sum()))


def _skill_of_probabilities(independent: float) -> float:
    """A calibrated forecast p = b +- d of an event of rate b saves d^2 of the Brier score b (1 - b), with a standard
    deviation of 2 d sqrt(b (1 - b)) an outcome. It is seen where the mean is sqrt(SEEN) standard errors from 0: from a
    skill d^2 / (b (1 - b)) of 4 SEEN / n on."""
    return min(1.0, 4 * SEEN / independent)


def _skill_of_answers(independent: float) -> float:
    """A share s of right answers, beside a reference that is always wrong, has the variance s (1 - s)."""
    return SEEN / (independent + SEEN)

"""The model confidence set: the contenders that the known losses do not tell from the best one.

Hansen, Lunde, Nason 2011, "The model confidence set"; blocks by Politis and White 2004, "Automatic block-length
selection for the dependent bootstrap".
"""

import math

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, refusing_warnings
from cortex.domains.markets.certainty.walk_forward import Rows
from cortex.evaluation.grades import Floats

SIZE = 0.1
RESAMPLES = 300
DATES = 30
"""Known dates, at least."""

WINDOW = 120
"""Known dates, the latest, that contenders are compared on: a model that was best once may have ceased to be."""

TIE = 1e-12
"""Difference of mean losses below which it is rounding alone."""

EVERY = 5
"""Steps between two computations: the set changes slowly, and takes a hundred times as long as another gate."""


def keep_in_confidence_set(case: Case) -> Kept:
    """Keep while the contender is in the set of the best by the known dates."""
    keep, inside = case.no_decision(), 1.0
    for number, step in enumerate(case.steps):
        if number % EVERY == 0:
            inside = _probability(case, step.past)
        keep[step.now] = inside > SIZE
    return Kept(keep, f"p {inside:.2f} of being among the best of {len(case.rivals)} in the end")


def _probability(case: Case, past: Rows) -> float:
    """The set's p value of the contender."""
    if case.name not in case.rivals:
        raise CannotTellError("it is no rival: it knows the best possible forecast")
    losses = np.column_stack([case.market.daily(rival.loss, past)[-WINDOW:] for rival in case.rivals.values()])
    _, first = np.unique(losses, axis=1, return_index=True)  # equal contenders have no variance between them
    own = losses[:, list(case.rivals).index(case.name)]
    distinct = losses[:, np.sort(first)]
    if len(losses) < DATES or distinct.shape[1] < 2:
        raise CannotTellError(f"{len(losses)} known dates and {distinct.shape[1]} different contenders are too few")
    return float(set_p_values(distinct, case.market.span, case.market.seed)[(distinct == own[:, None]).all(0)][0])


def set_p_values(losses: Floats, span: int, seed: int) -> Floats:
    """The p value of each of K contenders to be in the set, by losses of D dates (D x K).

    Raises:
        CannotTellError: two have the same mean loss, among which arch 8.0 cannot tell whom to leave out.
    """
    if np.diff(np.sort(losses.mean(axis=0))).min() < TIE:
        raise CannotTellError("two contenders have the same mean loss, so that none of them is the worse one")
    from arch.bootstrap import MCS, optimal_block_length

    with refusing_warnings("arch"):
        lengths = optimal_block_length(losses - losses.mean(axis=1, keepdims=True))["circular"].to_numpy()
        block = max(2, 2 * span if span > 1 else 1, math.ceil(float(np.nanmax(lengths))))
        block = min(block, len(losses) // 3)
        found = MCS(losses, SIZE, reps=RESAMPLES, block_size=block, bootstrap="circular", seed=seed)
        found.compute()
        return found.pvalues["Pvalue"].sort_index().to_numpy()

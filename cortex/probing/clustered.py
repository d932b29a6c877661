"""Estimates from probes of some examples, with intervals over the examples' clusters."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from cortex.domains.domain import Domain
from cortex.evaluation.bootstrap import LEVEL, Resamples
from cortex.evaluation.chapter import Cell
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.confidence import Interval

UNBOUNDED = (-np.inf, np.inf)
SHARE = (0.0, 1.0)


class Clustered:
    """Means over examples that are right or wrong together."""

    def __init__(self, domain: Domain, examples: pl.DataFrame, *, resamples: int, seed: int) -> None:
        """`examples` holds all rows that may be probed, as the domain built them."""
        self._domain, self._examples = domain, examples
        self._resamples, self._seed = resamples, seed
        self._place = {name: place for place, name in enumerate(examples["id"])}

    def rows(self, ids: Sequence[str]) -> pl.DataFrame:
        """The rows of examples, in the order of `ids`, in which one may be there several times."""
        return self._examples[[self._place[name] for name in ids]]

    def draw(self, ids: Sequence[str]) -> Resamples | None:
        """Resamples of the clusters of these examples; None where there is one cluster alone, or none."""
        rows = self.rows(ids)
        if rows["cluster"].n_unique() < 2:
            return None
        # The span is that of these rows: where few of a period's examples are probed, fewer outcomes overlap.
        clusters = Clusters.read(rows, self._domain.span(rows.unique("id", maintain_order=True)))
        return Resamples.draw(clusters, resamples=self._resamples, seed=self._seed)

    def mean(self, ids: Sequence[str], values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Cell:
        """The mean of one value for each of N examples, as a cell with its interval; words where there is none.

        A share of 0 or 1 has no spread to resample: its interval is that of Clopper and Pearson (1934), with
        independent blocks of clusters as trials.
        """
        if not values:
            return Cell(text="none")
        numbers = np.array(values, dtype=np.float64)
        drawn = self.draw(ids)
        mean = float(numbers.mean())
        if drawn is None:
            return Cell(text=f"{mean:.3g}, of one cluster alone")
        if bounds == SHARE and (numbers == numbers[0]).all() and mean in SHARE:
            reach = 1 - ((1 - LEVEL) / 2) ** (drawn.block_length / drawn.counts.shape[1])
            return Cell(value=mean, interval=Interval(low=max(0.0, mean - reach), high=min(1.0, mean + reach)))
        return Cell(value=mean, interval=drawn.interval(mean, drawn.means(numbers), bounds))


def words(cell: Cell, form: str) -> str:
    """A cell as part of a sentence."""
    if cell.value is None:
        return cell.text
    ends = f" ({cell.interval.low:{form}} to {cell.interval.high:{form}})" if cell.interval else ""
    return f"{cell.value:{form}}{ends}"


def is_above(cell: Cell, limit: float = 0.0) -> bool:
    """Tell whether the whole interval lies above a limit."""
    return cell.interval is not None and cell.interval.low > limit

"""Clusters: groups of examples that are right or wrong together, in the order of their times, if they have any."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of N examples: in the order of their times, or by name where they have none."""

    of: NDArray[np.intp]
    """Index of the cluster of each example (N)."""
    names: tuple[str, ...]
    times: tuple[datetime, ...]
    """Time at which the questions of each cluster were asked; empty where order means nothing."""
    span: int = 1
    """Maximum number of consecutive clusters that share an outcome; 1 where clusters are independent."""

    def __len__(self) -> int:
        return len(self.names)

    def part(self, chosen: NDArray[np.bool_]) -> "Clusters":
        """The clusters of some of the examples (N), in their order."""
        kept, of = np.unique(self.of[chosen], return_inverse=True)
        times = tuple(self.times[at] for at in kept.tolist()) if self.times else ()
        return Clusters(of.astype(np.intp), tuple(self.names[at] for at in kept.tolist()), times, self.span)

    @classmethod
    def read(cls, examples: pl.DataFrame, span: int) -> "Clusters":
        """Read the clusters from the examples' columns `cluster` and `at`."""
        is_timed = not examples["at"].has_nulls()
        found = examples.group_by("cluster").agg(pl.col("at").min()).sort("at", "cluster", nulls_last=True)
        place = found.with_row_index("place").select("cluster", "place")
        of = examples.select("cluster").join(place, on="cluster", how="left", maintain_order="left")["place"]
        times = tuple(found["at"].to_list()) if is_timed else ()
        return cls(of.to_numpy().astype(np.intp), tuple(found["cluster"].to_list()), times, span)

"""Which examples are right or wrong together, and in which order, if in any."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of N examples: in the order of their times, or by name where they have none."""

    of: NDArray[np.intp]
    """Which cluster each example belongs to (N)."""
    names: tuple[str, ...]
    times: tuple[datetime, ...]
    """When the questions of each were asked; empty where order means nothing."""
    span: int = 1
    """How many clusters in a row share what decides their answers, at most: 1 where each is by itself."""

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def read(cls, examples: pl.DataFrame, span: int) -> "Clusters":
        """Take them from the columns `cluster` and `at`."""
        is_timed = not examples["at"].has_nulls()
        found = examples.group_by("cluster").agg(pl.col("at").min()).sort("at", "cluster", nulls_last=True)
        place = found.with_row_index("place").select("cluster", "place")
        of = examples.select("cluster").join(place, on="cluster", how="left", maintain_order="left")["place"]
        times = tuple(found["at"].to_list()) if is_timed else ()
        return cls(of.to_numpy().astype(np.intp), tuple(found["cluster"].to_list()), times, span)

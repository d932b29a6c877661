from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.clusters import Clusters

START = datetime(2022, 1, 1, tzinfo=UTC)


def table(clusters: list[str], days: list[int | None]) -> pl.DataFrame:
    at = [None if day is None else START + timedelta(days=day) for day in days]
    return pl.DataFrame({"cluster": clusters, "at": pl.Series(at, dtype=pl.Datetime("us", "UTC"))})


def test_clusters_follow_their_times_whatever_their_names_and_the_order_of_rows() -> None:
    clusters = Clusters.read(table(["b", "a", "c", "b"], [0, 2, 1, 0]), span=3)
    assert clusters.names == ("b", "c", "a")
    assert clusters.of.tolist() == [0, 2, 1, 0]
    assert clusters.times == tuple(START + timedelta(days=day) for day in (0, 1, 2))
    assert (len(clusters), clusters.span) == (3, 3)


def test_clusters_without_times_are_in_the_order_of_their_names() -> None:
    clusters = Clusters.read(table(["b", "a", "c", "b"], [None] * 4), span=1)
    assert clusters.names == ("a", "b", "c")
    assert clusters.of.tolist() == [1, 0, 2, 1]
    assert clusters.times == ()


def test_a_cluster_without_a_time_leaves_no_order_to_any() -> None:
    assert Clusters.read(table(["a", "b"], [0, None]), span=1).times == ()


def test_clusters_without_times_are_drawn_one_by_one() -> None:
    clusters = Clusters.read(table([f"{index:03}" for index in range(200)], [None] * 200), span=7)
    drawn = Resamples.draw(clusters, resamples=50)
    assert drawn.block_length == 1
    assert (drawn.counts.sum(axis=1) == 200).all()
    neighbours = (drawn.counts > 0) & (np.roll(drawn.counts, 1, axis=1) > 0)
    assert neighbours.sum() < 0.7 * (drawn.counts > 0).sum(), "a drawn cluster says nothing of the next"

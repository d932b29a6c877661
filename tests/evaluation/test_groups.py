"""Groups of answers: their shares come with honest intervals, or not at all."""

import numpy as np
import pytest
from scipy.stats import binomtest

from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.groups import make_group, wilson
from tests.evaluation.simulation import make_clusters


@pytest.mark.parametrize(("true", "count"), [(0, 30), (3, 40), (25, 50), (200, 200)])
def test_wilson_agrees_with_scipy(true: int, count: int) -> None:
    expected = binomtest(true, count).proportion_ci(method="wilson")
    found = wilson(true / count, count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_only_members_count_and_the_share_is_theirs() -> None:
    drawn = Resamples.draw(make_clusters(100, 2), resamples=200)
    stated = np.linspace(0, 1, 200)
    member = stated > 0.5
    true = np.where(member, np.arange(200) % 4 == 0, 1.0)
    group = make_group(stated, true, member, drawn, up_to=1.0)
    assert (group.examples, group.clusters, group.share) == (100, 50, 0.25)
    assert (group.low, group.high) == (stated[100], 1.0)
    assert group.interval and 0.1 < group.interval.low < 0.2 and 0.3 < group.interval.high < 0.45


def test_answers_of_few_clusters_have_no_share_however_many_they_are() -> None:
    drawn = Resamples.draw(make_clusters(60, 50), resamples=50)
    member = np.arange(60 * 50) < 29 * 50
    group = make_group(np.full(3000, 0.6), np.ones(3000), member, drawn, up_to=1.0)
    assert (group.examples, group.clusters, group.share, group.interval) == (1450, 29, None, None)


def test_what_was_always_right_is_not_certain() -> None:
    drawn = Resamples.draw(make_clusters(40, 25), resamples=50)
    every = np.ones(1000, dtype=np.bool_)
    group = make_group(np.full(1000, 0.6), np.ones(1000), every, drawn, up_to=1.0)
    assert group.interval and group.interval.low == pytest.approx(binomtest(40, 40).proportion_ci(method="wilson").low)


def test_an_interval_holds_the_truth_where_answers_of_a_cluster_agree() -> None:
    """Five answers of each of 60 clusters, all right or all wrong, six times in ten."""
    generator = np.random.default_rng(1)
    clusters, every = make_clusters(60, 5, is_timed=False), np.ones(300, dtype=np.bool_)
    held = 0
    for trial in range(200):
        true = np.repeat(generator.random(60) < 0.6, 5).astype(np.float64)
        drawn = Resamples.draw(clusters, resamples=200, seed=trial)
        interval = make_group(np.full(300, 0.6), true, every, drawn, up_to=1.0).interval
        assert interval
        held += interval.low <= 0.6 <= interval.high
    assert held >= 180

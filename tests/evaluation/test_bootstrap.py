import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples, block_length, compare, lost_to_cuts, measure_interval
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure
from tests.evaluation.simulation import MARKETS, make_clusters, make_grades, stated

LOSS = Measure("loss", "loss")
WITH_INTERVAL = [LOSS, MARKETS.scale.skill_measure, *(each for each in MARKETS.measures if each.compute is None)]


@given(dates=st.integers(2, 3000), horizon=st.integers(1, 400))
def test_blocks_hold_an_overlapping_horizon_twice_and_fit_at_least_twice(dates: int, horizon: int) -> None:
    length = block_length(dates, horizon)
    assert 1 <= length <= dates / 2
    assert length in {dates // 2, int(np.ceil(dates ** (1 / 3))), 2 * horizon}
    if horizon > 1 and 4 * horizon <= dates:
        assert length >= 2 * horizon


def test_resamples_take_whole_clusters_in_runs() -> None:
    drawn = Resamples.draw(make_clusters(60, 3, span=5), resamples=50)
    assert drawn.counts.shape == (50, 60)
    assert (drawn.counts.sum(axis=1) == 60).all()
    assert drawn.block_length == 10
    position = np.tile(np.arange(60.0), (3, 1)).T.ravel()
    by_hand = (drawn.counts @ np.arange(60)) / 60
    np.testing.assert_allclose(drawn.means(position), by_hand)
    neighbours = (drawn.counts > 0) & (np.roll(drawn.counts, 1, axis=1) > 0)
    assert neighbours.sum() > 0.8 * (drawn.counts > 0).sum(), "most drawn clusters follow another drawn one"


def test_clusters_with_more_examples_weigh_more() -> None:
    clusters = replace(make_clusters(2), of=np.repeat([0, 1], [1, 9]))
    drawn = Resamples.draw(clusters, resamples=200)
    values = np.repeat([0.0, 1.0], [1, 9])
    assert set(np.round(drawn.means(values), 6)) == {0.0, 0.9, 1.0}


def test_the_same_seed_draws_the_same() -> None:
    one, same, other = (Resamples.draw(make_clusters(40), resamples=20, seed=seed).counts for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_intervals_hold_the_truth_where_outcomes_overlap() -> None:
    """Weekly outcomes decided on daily share six days of seven. A 95% interval of the mean should still hold it."""
    generator = np.random.default_rng(1)
    hits, naive_hits, replications = 0, 0, 600
    for seed in range(replications):
        moves = generator.normal(size=126)
        values = np.convolve(moves, np.ones(7), mode="valid")
        drawn = Resamples.draw(make_clusters(120, span=7), resamples=300, seed=seed)
        interval = drawn.interval(float(values.mean()), drawn.means(values))
        hits += interval.low <= 0 <= interval.high
        naive_hits += abs(values.mean()) <= 1.96 * values.std() / np.sqrt(120)
    assert hits / replications >= 0.90
    assert naive_hits / replications < 0.65, "were clusters independent, this test would show nothing"


def test_dependence_widens_the_interval() -> None:
    """All symbols of a date move together, so 20 symbols are worth little more than one."""
    generator = np.random.default_rng(3)
    shared = np.repeat(generator.normal(size=200), 20)
    alone = generator.permutation(shared)
    drawn = Resamples.draw(make_clusters(200, 20))
    assert drawn.means(shared).std() > 3 * drawn.means(alone).std()


def test_fewer_blocks_widen_the_interval() -> None:
    replicates = np.random.default_rng(0).normal(size=1000)

    def width(dates: int) -> float:
        interval = Resamples.draw(make_clusters(dates, span=7), resamples=10).interval(0.0, replicates)
        return interval.high - interval.low

    percentile = np.subtract(*np.quantile(replicates, [0.975, 0.025]))
    assert width(70) > 1.3 * percentile
    mended = percentile / np.sqrt(1 - lost_to_cuts(14, 7))
    assert mended < width(2000) < 1.02 * mended


def test_a_score_s_interval_holds_the_score_and_stays_possible() -> None:
    generator = np.random.default_rng(1)
    outcome = generator.normal(size=600)
    p_up = np.where(outcome > 0, 0.97, 0.03)
    drawn = Resamples.draw(make_clusters(200, 3))
    coin = stated(np.full(600, 0.5)).graded(outcome)
    grades = Grades.of(stated(p_up).graded(outcome), coin)
    intervals = {measure.name: measure_interval(drawn, grades, measure) for measure in WITH_INTERVAL}
    assert intervals["accuracy"].low == intervals["accuracy"].high == 1
    assert intervals["skill"].low == pytest.approx(1 - 0.0009 / 0.25)
    assert 0 <= intervals["coverage"].low < intervals["coverage"].high <= 1
    assert intervals["return_skill"].low == intervals["return_skill"].high == 0, "a return of 0 was forecast"


def test_paired_differences_see_what_separate_intervals_cannot() -> None:
    """Two contenders ride the same luck: a steady small advantage shows in the difference alone."""
    generator = np.random.default_rng(2)
    truth = generator.uniform(0.2, 0.8, 900)
    came = generator.random(900) < truth
    right, timid = make_grades(truth, came), make_grades(0.5 + 0.5 * (truth - 0.5), came)
    drawn = Resamples.draw(make_clusters(300, 3))
    comparison = compare(drawn, ("right", right), ("timid", timid))
    assert comparison.relation == "beats"
    assert comparison.difference == pytest.approx(timid.loss.mean() - right.loss.mean())
    assert compare(drawn, ("timid", timid), ("right", right)).relation == "worse than"
    assert compare(drawn, ("right", right), ("right", right)).relation == "not distinguishable from"
    alone = [measure_interval(drawn, each, LOSS) for each in (right, timid)]
    assert alone[0].high > alone[1].low, "their separate intervals overlap"


def test_ten_models_take_a_moment() -> None:
    generator = np.random.default_rng(0)
    outcome = generator.normal(size=2500)
    began = time.perf_counter()
    drawn = Resamples.draw(make_clusters(250, 10), resamples=1000)
    coin = stated(np.full(2500, 0.5)).graded(outcome)
    for _ in range(10):
        grades = Grades.of(stated(generator.random(2500)).graded(outcome), coin)
        for measure in WITH_INTERVAL:
            measure_interval(drawn, grades, measure)
    assert time.perf_counter() - began < 3


def test_one_cluster_gives_no_interval() -> None:
    with pytest.raises(DataError, match=r"1 cluster\(s\) of examples"):
        Resamples.draw(make_clusters(1, 5))

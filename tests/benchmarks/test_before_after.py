from math import comb

import numpy as np
import pytest

from cortex.benchmarks.answers_file import Benchmarked
from cortex.benchmarks.before_after import paired_interval, record_benchmark
from cortex.errors import DataError
from tests.benchmarks.scored import answers, benchmarked

RNG = np.random.default_rng


def test_what_fine_tuning_broke_is_said_and_nothing_else() -> None:
    rng = RNG(0)
    maths, words = rng.random(400) < 0.6, rng.random(400) < 0.5
    broken = maths & (rng.random(400) < 0.7)
    jitter = np.where(rng.random(400) < 0.02, ~words, words)
    record = record_benchmark(
        benchmarked("tuned", gsm8k=broken, bbh=jitter), benchmarked("base", gsm8k=maths, bbh=words)
    )
    by_name = {one.suite: one for one in record.suites}
    assert by_name["gsm8k"].change == "worse" and by_name["bbh"].change == "undecided"
    assert by_name["gsm8k"].difference == pytest.approx(broken.mean() - maths.mean())
    [sentence] = record.sentences()
    assert sentence.startswith("gsm8k: tuned is worse than base, with ")


def test_a_gain_is_said_too() -> None:
    rng = RNG(1)
    before = rng.random(300)
    record = record_benchmark(benchmarked("a", task=np.clip(before + 0.1, 0, 1)), benchmarked("b", task=before))
    assert record.suites[0].change == "better" and len(record.sentences()) == 1


def test_intervals_hold_for_all_suites_together() -> None:
    one = record_benchmark(benchmarked("a", x=[0, 1] * 40), benchmarked("b", x=[1, 0] * 40))
    scores = {name: [0, 1] * 40 for name in "wxyz"}
    four = record_benchmark(benchmarked("a", **scores), benchmarked("b", **{name: [1, 0] * 40 for name in "wxyz"}))
    assert one.level == 0.95 and four.level == pytest.approx(0.9875)
    alone, together = one.suites[0].interval, four.suites[0].interval
    assert alone and together and together.low < alone.low and together.high > alone.high


def test_equal_models_are_seldom_told_apart() -> None:
    """Under no difference, any of four suites decides in at most one comparison of twenty, up to chance."""
    rng, false, records = RNG(2), 0, 60
    for _ in range(records):
        before = {name: rng.random(120) < 0.5 for name in "wxyz"}
        after = {name: np.where(rng.random(120) < 0.3, rng.random(120) < 0.5, score) for name, score in before.items()}
        false += bool(record_benchmark(benchmarked("a", **after), benchmarked("b", **before)).sentences())
    # The 99.9% quantile of a binomial of 60 at 5%.
    assert false <= 9


@pytest.mark.parametrize("lost", [3, 5, 6, 9])
def test_a_few_lost_answers_decide_only_where_an_exact_test_does(lost: int) -> None:
    """A bootstrap leaves zero out of the interval of four losses in a thousand; the sign test gives them 12%."""
    before = np.ones(1000)
    after = np.where(np.arange(1000) < lost, 0.0, 1.0)
    exact = 2 * sum(comb(lost, wins) for wins in range(1)) / 2**lost
    record = record_benchmark(benchmarked("a", x=after), benchmarked("b", x=before))
    assert (record.suites[0].change == "worse") == (exact < 0.05)


def test_paired_shares_are_those_of_bonett_and_price() -> None:
    """Their table 2 x 2 of 100 pairs: 20 gained, 5 lost."""
    after = np.array([1.0] * 20 + [0.0] * 5 + [1.0] * 75)
    before = np.array([0.0] * 20 + [1.0] * 5 + [1.0] * 75)
    interval = paired_interval(after, before, 0.95)
    gained, lost = 21 / 102, 6 / 102
    half = 1.959964 * ((gained + lost - (gained - lost) ** 2) / 102) ** 0.5
    assert (interval.low, interval.high) == pytest.approx((gained - lost - half, gained - lost + half), abs=1e-5)


def test_questions_of_one_problem_count_once() -> None:
    """Four clusters of a hundred alike questions are no four hundred."""
    before, after = np.zeros(400), (np.arange(400) % 4 < 2).astype(float)
    record = record_benchmark(
        Benchmarked("a", {"x": answers(after, clusters=4)}), Benchmarked("b", {"x": answers(before, clusters=4)})
    )
    assert record.suites[0].change == "too few questions" and record.suites[0].interval is None
    assert not record.sentences()


def test_a_handful_of_questions_has_a_score_without_an_interval() -> None:
    record = record_benchmark(benchmarked("a", x=[1, 0, 1]), None)
    assert record.suites[0].after.score == pytest.approx(2 / 3)
    assert record.suites[0].after.interval is None and record.against is None


def test_other_questions_are_refused() -> None:
    with pytest.raises(DataError, match="x: 40 and 30 questions, of which 30 are the same: ask both"):
        record_benchmark(benchmarked("a", x=[1] * 40), benchmarked("b", x=[1] * 30))
    with pytest.raises(DataError, match="only one of the two was asked y"):
        record_benchmark(benchmarked("a", x=[1] * 40), benchmarked("b", x=[1] * 40, y=[1]))
    with pytest.raises(DataError, match="a has no answers"):
        record_benchmark(Benchmarked("a", {}), None)

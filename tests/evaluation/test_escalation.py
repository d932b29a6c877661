"""The judge of escalation, on models whose worth and whose knowledge of themselves are planted."""

import numpy as np
import pytest

from cortex.errors import DataError
from cortex.evaluation.escalation import Pair, RouteJudgement, divide, judge_escalation
from cortex.evaluation.grades import Bools, Floats
from tests.evaluation.simulation import make_clusters

CLUSTERS = make_clusters(200, 5)
N = 1000
NONE_HELD = np.zeros(N, dtype=np.bool_)


def planted(*, knows: bool, better: float = 0.15, seed: int = 0) -> tuple[Pair, Floats]:
    """A small model that fails at half of the questions, a large one that fails at none by as much, and the small one's
    uncertainty, which tells where it fails or is drawn."""
    generator = np.random.default_rng(seed)
    hard = generator.random(N) < 0.5
    small = np.clip(0.1 + 2 * better * hard + generator.normal(0, 0.02, N), 0, 1)
    large = np.clip(0.1 + generator.normal(0, 0.02, N), 0, 1)
    unsure = np.where(hard if knows else generator.random(N) < 0.5, 0.9, 0.2) + generator.uniform(0, 0.05, N)
    prices = (np.full(N, 1e-5), np.full(N, 1e-3))
    return Pair(small, large, NONE_HELD, prices), unsure


def judged(pair: Pair, unsure: Floats) -> RouteJudgement:
    return judge_escalation(pair, lambda _: unsure, CLUSTERS, resamples=300)


def test_uncertainty_that_tells_is_worth_more_than_a_coin() -> None:
    found = judged(*planted(knows=True))
    best = found.best
    assert found.gains and found.verdict.startswith("Escalation gains:") and 0.2 < best.above < 0.95
    small, large = found.alone
    assert best.loss == pytest.approx(large.loss, abs=0.01) and best.loss < small.loss - 0.1
    assert best.dollars is not None and large.dollars is not None and best.dollars < 0.6 * large.dollars
    assert best.coin_dollars == pytest.approx(best.dollars, rel=1e-6), "the coin costs as much"


def test_uncertainty_that_tells_nothing_gains_nothing() -> None:
    verdicts = [judged(*planted(knows=False, seed=seed)) for seed in range(20)]
    assert sum(found.gains for found in verdicts) <= 2
    silent = next(found for found in verdicts if not found.gains)
    assert silent.verdict.startswith("Escalation gains nothing: the uncertainty does not tell")


def test_a_large_model_that_is_no_better_gains_nothing() -> None:
    pair, unsure = planted(knows=True)
    same = Pair(pair.small, pair.small, pair.held_back, pair.prices)
    found = judged(same, unsure)
    assert not found.gains and "not shown to be better" in found.verdict


def test_what_is_held_back_is_asked_at_any_threshold_and_without_uncertainties() -> None:
    pair, _ = planted(knows=True)
    held = pair.small > 0.25
    found = judged(Pair(pair.small, pair.large, held, None), np.full(N, np.nan))
    (only,) = found.thresholds
    assert only.above == 1 and only.share == pytest.approx(held[500:].mean()) and found.gains and only.dollars is None


def test_the_threshold_is_chosen_without_the_questions_that_judge_it() -> None:
    pair, unsure = planted(knows=True)
    fit, judging, split = divide(CLUSTERS)
    assert not (fit & judging).any() and "judged from 2021-04-11 on" in split
    changed = Pair(np.where(judging, 1 - pair.small, pair.small), pair.large, NONE_HELD, pair.prices)
    asked: list[Bools] = []

    def uncertainty(part: Bools) -> Floats:
        asked.append(part)
        return unsure

    other = judge_escalation(changed, uncertainty, CLUSTERS, resamples=100)
    assert other.chosen == judged(pair, unsure).chosen and (asked[0] == fit).all()


def test_outcomes_that_overlap_are_in_one_part_alone() -> None:
    clusters = make_clusters(100, 1, span=5)
    fit, judging, _ = divide(clusters)
    assert clusters.of[judging].min() - clusters.of[fit].max() == 5


def test_too_few_questions_are_refused_or_not_judged_by() -> None:
    with pytest.raises(DataError, match="3 clusters of questions are too few"):
        divide(make_clusters(3))
    few = make_clusters(40)
    pair, unsure = planted(knows=True)
    part = Pair(pair.small[:40], pair.large[:40], NONE_HELD[:40], None)
    found = judge_escalation(part, lambda _: unsure[:40], few, resamples=100)
    assert not found.gains and found.verdict.startswith("Too few to judge by: 20 clusters, and 30 are needed")

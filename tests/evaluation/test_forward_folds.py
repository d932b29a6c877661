"""Walk-forward on a small market: what refitted baselines know, and folds that cannot be judged."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.forward_folds import Fit, Folds, walk_forward
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.study import Study
from tests.evaluation.simulation import MARKETS, make_examples

EXAMPLES = make_examples(dates=250, symbols=2, horizon_days=3)
TRAIN, TEST = EXAMPLES.filter(split="train"), EXAMPLES.filter(split="test")


def rate(known: pl.DataFrame, asked: pl.DataFrame) -> dict[str, list[Graded]]:
    """The base rate of what is known."""
    p = float(np.mean(known["outcome"].to_numpy() > 0))
    return {MARKETS.scale.reference: [Graded((p - (each > 0)) ** 2, True) for each in asked["outcome"]]}


def walk(test: pl.DataFrame = TEST, fit: Fit = rate, embargo: int = 1) -> Chapter:
    clusters = Clusters.read(test, 3)
    reference = rate(TRAIN, test)[MARKETS.scale.reference]
    oracle = [Graded((p - (each > 0)) ** 2, True) for p, each in zip(test["oracle_p_up"], test["outcome"], strict=True)]
    contenders = {"grpo": Grades.of(oracle, reference), MARKETS.scale.reference: Grades.of(reference, reference)}
    study = Study(contenders, ("grpo",), "grpo", clusters, Resamples.draw(clusters, resamples=200), 0)
    chapter = walk_forward(study, TRAIN, test, fit, MARKETS.scale, "outcome_time", Folds(5, embargo))
    assert chapter is not None
    return chapter


def test_baselines_know_what_was_known_and_no_more() -> None:
    begun: list[tuple[int, int]] = []

    def fit(known: pl.DataFrame, asked: pl.DataFrame) -> Mapping[str, Sequence[Graded]]:
        assert known.filter(pl.col("outcome_time") >= asked["at"].min()).is_empty(), (
            "an outcome of the fold's own time is known"
        )
        begun.append((len(known), (asked["at"] - known["at"].max()).min().days))  # type: ignore[union-attr]
        return rate(known, asked)

    walk(fit=fit, embargo=10)
    counts = [count for count, _ in begun]
    assert len(begun) == 5 and counts == sorted(counts) and counts[4] - counts[3] == 40, "each fold joins what is known"
    assert begun[4][1] == 11, "the ten dates before the fold are left out"


def test_skill_over_all_folds_is_found() -> None:
    chapter = walk()
    assert "above 0" in chapter.sentences[0] and "100 decision dates of 5 folds" in chapter.sentences[0]
    assert [row.name for row in chapter.tables[0].rows] == [f"fold {number}" for number in range(1, 6)]
    examples = [row.cells[2].value or 0 for row in chapter.tables[0].rows]
    assert sum(examples) == len(TEST)


def test_the_baselines_of_markets_are_fitted_again() -> None:
    chapter = walk(fit=MARKETS.baselines)
    assert "of 5 folds" in chapter.sentences[0]
    assert {"momentum", "logistic_regression"} <= {row.name for row in chapter.tables[1].rows}


def test_a_fold_whose_baselines_cannot_be_fitted_is_left_out_and_said() -> None:
    def fit(known: pl.DataFrame, asked: pl.DataFrame) -> Mapping[str, Sequence[Graded]]:
        if asked["at"].min() == TEST["at"].min():
            raise ValueError("This solver needs samples of at least 2 classes")
        if asked["at"].max() == TEST["at"].max():
            raise DataError("no outcome moved")
        return rate(known, asked)

    chapter = walk(fit=fit)
    assert "of 3 folds" in chapter.sentences[0]
    assert any(text.startswith("Fold 1 is left out") and "2 classes" in text for text in chapter.sentences)
    assert any(text.startswith("Fold 5 is left out") and "no outcome moved" in text for text in chapter.sentences)


def test_a_number_that_a_library_failed_to_compute_is_no_score() -> None:
    def fit(known: pl.DataFrame, asked: pl.DataFrame) -> Mapping[str, Sequence[Graded]]:
        return {MARKETS.scale.reference: [Graded(float(np.nan), True)] * len(asked)}

    chapter = walk(fit=fit)
    assert chapter.sentences[0] == "No fold could be judged." and len(chapter.sentences) == 6 and not chapter.tables


def test_a_test_period_shorter_than_its_blocks_says_so() -> None:
    short = TEST.head(20)
    chapter = walk(short)
    assert "has 10 decision dates, too few for 5 folds" in chapter.sentences[0] and not chapter.tables

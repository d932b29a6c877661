"""Runs compared on one page."""

import polars as pl
import pytest

from cortex.artifacts.store import Store
from cortex.report.comparison_page import comparison_page, profile_differences
from cortex.report.gathered_run import GatheredRun, gather
from cortex.report.run_comparison import pair_runs
from tests.evaluation.test_judging import Page


@pytest.fixture(scope="module")
def runs(made: Store) -> list[GatheredRun]:
    return [gather(made, run) for run in ("r1", "r2", "r3")]


def test_runs_that_answered_the_same_questions_are_compared_in_pairs(made: Store, runs: list[GatheredRun]) -> None:
    better, missing = pair_runs(made, runs, "markets")
    assert better.comparison and better.comparison.relation == "beats"
    difference = runs[1].evaluations["markets"].models["grpo"].loss - runs[0].evaluations["markets"].models["grpo"].loss
    assert better.comparison.difference == pytest.approx(difference)
    assert better.told("Brier score").startswith("r1 is better than r2: the Brier score of r2 less that of r1 is +")
    assert missing.told("Brier score") == "r1 and r3 are not compared question by question: r3 is not evaluated."


def test_questions_of_the_same_names_with_other_truths_are_not_paired(made: Store, runs: list[GatheredRun]) -> None:
    """Equal ids alone would pair forecasts of different horizons."""
    other = gather(made, "r2")
    table = other.transcripts["markets"].with_columns(pl.lit("the return was +1.00%").alias("truth"))
    other.transcripts["markets"] = table
    other.manifests["data"] = other.manifests["export"]
    (found,) = pair_runs(made, [runs[0], other], "markets")
    assert found.comparison is None and "other texts or truths" in found.reason
    other.transcripts.clear()
    (found,) = pair_runs(made, [runs[0], other], "markets")
    assert "kept no transcripts" in found.reason


def test_the_page_says_scores_money_and_what_differs_in_the_profiles(made: Store, runs: list[GatheredRun]) -> None:
    told = " ".join(Page(comparison_page(made, runs)).words.split())
    for words in ("r3 is not evaluated.", "r1 is better than r2", "on the same test questions", "seed", "9.28"):
        assert words in told, words
    assert "by test scores owes" not in told, "two are judged"


def test_only_values_that_differ_are_listed() -> None:
    one = {"seed": 1, "grpo": {"steps": 5, "beta": 0.0}, "tags": ["a"]}
    other = {"seed": 1, "grpo": None, "tags": ["a"], "name": "x"}
    assert profile_differences([one, other]) == {
        "grpo.steps": ["5", ""],
        "grpo.beta": ["0.0", ""],
        "grpo": ["", "null"],
        "name": ["", '"x"'],
    }

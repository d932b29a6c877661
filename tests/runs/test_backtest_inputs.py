"""`cortex backtest` on a run, with a real evaluation of made-up forecasts and the data that they are of."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.domains.example_columns import EXAMPLES
from cortex.evaluation.grades import Grades
from cortex.evaluation.judging import write_report
from cortex.evaluation.questions import QUESTIONS, Judged, questions_table
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from tests.conftest import Cortex
from tests.evaluation.simulation import MARKETS, judge, make_examples, stated

pytestmark = pytest.mark.integration

TABLE = make_examples(dates=200, symbols=3, strength=3)


def record(store: Store, profile: Profile, folder: Path, data: pl.DataFrame) -> None:
    """A run whose data and evaluate stages are done: its models stated the true odds, and nothing."""
    create_run(store, "a", profile)
    train, test = (TABLE.filter(split=split) for split in ("train", "test"))
    outcome = test["outcome"].to_numpy()
    odds = test["oracle_p_up"].to_numpy()
    graded = {name: stated(p).graded(outcome) for name, p in (("base", np.full(len(odds), 0.5)), ("grpo", odds))}
    (folder / "data").mkdir(parents=True)
    data.write_parquet(folder / "data" / EXAMPLES)
    publish(folder / "data", store, artifact_prefix("a", "data"), kind="data")
    (folder / "evaluate").mkdir()
    write_report(judge(graded, TABLE), folder / "evaluate")
    reference = MARKETS.baselines(train, test)[MARKETS.scale.reference]
    judged = {
        name: Judged(Grades.of(each, reference), np.zeros(len(odds), np.bool_), np.zeros((len(odds), 2), np.int64))
        for name, each in graded.items()
    }
    questions_table(test, judged).write_parquet(folder / "evaluate" / QUESTIONS)
    publish(folder / "evaluate", store, artifact_prefix("a", "evaluate"), kind="evaluate")


def test_a_run_is_acted_on_again_on_other_terms(store: Store, profile: Profile, tmp_path: Path, cortex: Cortex) -> None:
    """The signal lasts for one date: at the decision's own close it pays, after a lag of one date it is gone."""
    record(store, profile, tmp_path / "run", TABLE)

    done = cortex("backtest", "a", "--lag", "0", "--fee-bps", "20", "--tries", "50", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows = {row["name"]: row["cells"] for row in found["tables"][0]["rows"]}
    assert set(rows) >= {"base", "grpo", "base_rate", "logistic_regression", "oracle", "equal_weight", "cash"}
    said = " ".join(found["sentences"])
    assert found["sentences"][0].startswith("On paper, grpo earned more than cash")
    assert "25 basis points" in said and "best of 50 tries" in said and "upper bound" in said
    lagged = cortex("backtest", "a")
    assert lagged.returncode == 0 and "Max drawdown" in lagged.stdout
    assert "not shown to earn more than cash" in lagged.stdout or "took no position" in lagged.stdout


def test_data_that_lack_an_answered_question_are_refused(
    store: Store, profile: Profile, tmp_path: Path, cortex: Cortex
) -> None:
    record(store, profile, tmp_path / "run", TABLE.head(-1))
    done = cortex("backtest", "a")
    assert done.returncode == 65 and "run a answered 240 questions, and its data hold 239 of them" in done.stderr

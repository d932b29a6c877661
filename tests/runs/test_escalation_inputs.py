"""`cortex route judge` on two runs, with real evaluations of made-up forecasts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.domains.markets.forecasts import Forecasts
from cortex.evaluation.grades import Bools, Floats, Grades
from cortex.evaluation.judging import write_report
from cortex.evaluation.questions import QUESTIONS, Judged, questions_table
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from tests.conftest import Cortex
from tests.evaluation.simulation import MARKETS, judge, make_examples, stated

pytestmark = pytest.mark.integration

EXAMPLES = make_examples(dates=400, symbols=4, strength=4)
TEST = EXAMPLES.filter(split="test")
TRUTH = TEST["oracle_p_up"].to_numpy()
KNOWN = np.arange(len(TRUTH)) % 2 == 0
HELD = np.arange(len(TRUTH)) % 50 == 0


def record(store: Store, profile: Profile, folder: Path, run: str, p_up: Floats, tokens: int) -> None:
    """A run whose evaluate stage is done, its model having stated these probabilities."""
    create_run(store, run, profile)
    folder.mkdir(parents=True)
    outcomes = TEST["outcome"].to_numpy()
    forecasts: Forecasts = stated(p_up)
    graded = forecasts.graded(outcomes)
    write_report(judge({"grpo": graded}, EXAMPLES), folder)
    reference = MARKETS.baselines(EXAMPLES.filter(split="train"), TEST)[MARKETS.scale.reference]
    held: Bools = HELD if run == "small" else np.zeros(len(TRUTH), dtype=np.bool_)
    judged = Judged(Grades.of(graded, reference), held, np.full((len(TRUTH), 2), tokens))
    questions_table(TEST, {"grpo": judged}).write_parquet(folder / QUESTIONS)
    publish(folder, store, artifact_prefix(run, "evaluate"), kind="evaluate")


def test_a_model_that_knows_where_it_is_ignorant_is_worth_its_escalation(
    store: Store, profile: Profile, tmp_path: Path, cortex: Cortex
) -> None:
    """The small model is as sure as the large one, too sure where it knows something: calibration tells."""
    record(store, profile, tmp_path / "a", "small", np.where(KNOWN, TRUTH, 0.5), 50)
    record(store, profile, tmp_path / "b", "large", TRUTH, 500)
    done = cortex("route", "judge", "small", "large", "--price-small", "1", "--price-large", "10", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["gains"] and found["verdict"].startswith("Escalation gains"), found["verdict"]
    assert (found["domain"], found["large"]) == ("markets", {"run": "large", "model": "grpo"})
    small, large = found["alone"]
    assert (small["dollars"], large["dollars"]) == (pytest.approx(1e-4), pytest.approx(1e-2))
    best = next(each for each in found["thresholds"] if each["above"] == found["chosen"])
    assert large["loss"] <= best["loss"] < best["coin_loss"] < small["loss"] and 0.3 < best["share"] < 0.95
    table = cortex("route", "judge", "small", "large")
    assert table.returncode == 0 and "chosen" in table.stdout and "by time, judged from" in table.stdout


def test_what_cannot_be_judged_is_told(store: Store, profile: Profile, tmp_path: Path, cortex: Cortex) -> None:
    record(store, profile, tmp_path / "a", "small", TRUTH, 50)
    create_run(store, "old", profile)
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "evaluation.json").write_bytes(
        (Path(store.url) / "runs/small/evaluate/artifact/evaluation.json").read_bytes()
    )
    publish(folder, store, artifact_prefix("old", "evaluate"), kind="evaluate")
    create_run(store, "other", profile)
    folder = tmp_path / "d"
    folder.mkdir()
    published = Path(store.url) / "runs/small/evaluate/artifact"
    (folder / "evaluation.json").write_bytes((published / "evaluation.json").read_bytes())
    pl.read_parquet(published / QUESTIONS).head(100).write_parquet(folder / QUESTIONS)
    publish(folder, store, artifact_prefix("other", "evaluate"), kind="evaluate")
    for words, code, message in (
        (("small", "old"), 65, "run old recorded no answers of single questions"),
        (("small", "other"), 65, "did not answer the same test questions (100 ids of 640 and 100 are in both)"),
        (("small", "nobody"), 2, "no run 'nobody'"),
        (("small", "small", "--domain", "gym"), 2, "--domain gym: run small has none of this name"),
        (("small", "small", "--price-small", "1"), 2, "belong together"),
    ):
        done = cortex("route", "judge", *words)
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr

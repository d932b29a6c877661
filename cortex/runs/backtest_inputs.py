"""The study of a run's evaluation, put together again from its recorded answers and its data."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from cortex.artifacts.artifact import fetch, read_verified, require
from cortex.artifacts.store import Store
from cortex.domains.dataset import read_split
from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.grades import Grades
from cortex.evaluation.questions import QUESTIONS, read_questions
from cortex.evaluation.study import Study
from cortex.limits import QUESTIONS_BYTES
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.escalation_inputs import JudgedRun, read_judged
from cortex.runs.reports import report_folders


@dataclass(frozen=True, eq=False)
class StudiedRun:
    """A run's judged answers, beside the examples that they answer."""

    judged: JudgedRun
    study: Study
    train: pl.DataFrame
    test: pl.DataFrame
    """The test examples, in the order of the study's grades."""


def read_study(store: Store, run: str, domain: str | None, cache: Path) -> StudiedRun:
    """Read a run's recorded answers and its data, which are downloaded into `cache`, both verified; fit the baselines.

    Raises:
        UsageError, DataError, VerificationError: as `read_judged`; or the data lack a question that was answered.
    """
    judged = read_judged(store, run, domain)
    profile = load_run(store, run)
    data = fetch(store, artifact_prefix(run, "data"), cache).path
    rows_of = partial(profile.domain.rows_of, judged.name)
    ids = judged.questions.examples["id"]
    test = read_split(data, "test", narrow=lambda rows: rows_of(rows).filter(pl.col("id").is_in(ids.implode())))
    test = test.sort("id")
    if not test["id"].equals(ids):
        raise DataError(
            f"run {run} answered {len(ids):,} questions, and its data hold {len(test):,} of them: run its evaluate "
            "stage again"
        )
    train = read_split(data, "train", narrow=rows_of)
    baselines = judged.domain.baselines(train, test)
    reference = baselines[judged.domain.scale.reference]
    clusters = judged.questions.clusters(judged.evaluation.data.span)
    summary = judged.evaluation.data
    study = Study(
        {**_answers(store, judged), **{name: Grades.of(graded, reference) for name, graded in baselines.items()}},
        tuple(judged.evaluation.models),
        judged.model,
        clusters,
        Resamples.draw(clusters, resamples=summary.resamples, seed=summary.seed),
        summary.seed,
        judged.evaluation.verdict.tries.models,
    )
    return StudiedRun(judged, study, train, test)


def _answers(store: Store, judged: JudgedRun) -> dict[str, Grades]:
    """The grades of every model, by its name."""
    prefix = artifact_prefix(judged.run, "evaluate")
    table = f"{report_folders(load_run(store, judged.run).domain)[judged.name]}{QUESTIONS}"
    data = read_verified(store, prefix, require(store, prefix), table, QUESTIONS_BYTES)
    where = f"{store.url}/{prefix}/{table}"
    return {name: read_questions(data, name, where).judged.grades for name in judged.evaluation.models}

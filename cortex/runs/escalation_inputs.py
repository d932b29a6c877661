"""The judge of escalation on two runs: their recorded answers to the same test questions, paired one by one."""

from dataclasses import dataclass

import numpy as np

from cortex.artifacts.artifact import read_verified, require
from cortex.artifacts.store import Store
from cortex.domains.domain import Domain
from cortex.errors import DataError, UsageError
from cortex.evaluation.escalation import Pair, RouteJudgement, judge_escalation
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.questions import QUESTIONS, Questions, prices_of, read_questions, select
from cortex.evaluation.record import JSON_NAME, Evaluation
from cortex.limits import EVALUATION_BYTES, QUESTIONS_BYTES
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.reports import report_folders
from cortex.section import nearest


@dataclass(frozen=True, eq=False)
class JudgedRun:
    """One run's judged model, in one domain."""

    run: str
    name: str
    """The domain's name."""
    domain: Domain
    evaluation: Evaluation
    questions: Questions

    @property
    def model(self) -> str:
        return self.evaluation.verdict.model


def read_judged(store: Store, run: str, domain: str | None) -> JudgedRun:
    """Read a run's recorded answers, verified. `domain` may be left out where the run has a single one.

    Raises:
        UsageError: there is no such run or domain, or several domains and none is named.
        DataError: the run is not evaluated, or its evaluation recorded no answers.
        VerificationError: a file differs from the published one.
    """
    parts = load_run(store, run).domain
    folders = report_folders(parts)
    if domain is None and len(folders) > 1:
        raise UsageError(f"run {run} has the domains {', '.join(folders)}: name one with --domain")
    name = domain or next(iter(folders))
    if name not in folders:
        raise UsageError(f"--domain {name}: run {run} has none of this name: {nearest(name, folders)}")
    prefix = artifact_prefix(run, "evaluate")
    manifest = require(store, prefix)
    record, table = f"{folders[name]}{JSON_NAME}", f"{folders[name]}{QUESTIONS}"
    if all(entry.name != table for entry in manifest.files):
        raise DataError(f"run {run} recorded no answers of single questions: run its evaluate stage again")
    where = f"{store.url}/{prefix}/"
    data = read_verified(store, prefix, manifest, record, EVALUATION_BYTES)
    evaluation = Evaluation.from_json(data, where + record)
    answers = read_verified(store, prefix, manifest, table, QUESTIONS_BYTES)
    questions = read_questions(answers, evaluation.verdict.model, where + table)
    return JudgedRun(run, name, parts.parts()[name], evaluation, questions)


def judge_runs(small: JudgedRun, large: JudgedRun, dollars: tuple[float, float] | None) -> RouteJudgement:
    """Judge escalation from one run's model to another's. `dollars` are their prices of a million tokens.

    Raises:
        DataError: the runs answered different questions, or too few.
    """
    if small.name != large.name or not small.questions.examples.equals(large.questions.examples):
        ids: list[set[str]] = [set(run.questions.examples["id"].to_list()) for run in (small, large)]
        raise DataError(
            f"{small.run} and {large.run} did not answer the same test questions ({len(ids[0] & ids[1]):,} ids of "
            f"{len(ids[0]):,} and {len(ids[1]):,} are in both): judge runs of the same data and number of examples"
        )
    first, second = small.questions.judged, large.questions.judged
    prices = None
    if dollars is not None:
        cheap, dear = prices_of((first, second), dollars)
        prices = (cheap, dear)
    data = small.evaluation.data
    return judge_escalation(
        Pair(first.grades.loss, second.grades.loss, first.held_back, prices),
        lambda fit: _uncertainty(small, fit),
        small.questions.clusters(data.span),
        resamples=data.resamples,
        seed=data.seed,
    )


def _uncertainty(small: JudgedRun, fit: Bools) -> Floats:
    """The uncertainty of each answer (N), calibrated by some of the questions; NaN where the domain states none."""
    grades = small.questions.judged.grades
    details = small.domain.details(select(grades, fit))
    found: list[float] = []
    for at in range(len(grades)):
        stated = {name: float(values[at]) for name, values in grades.numbers.items()}
        uncertainty = small.domain.uncertainty(stated, details) if grades.valid[at] else None
        found.append(np.nan if uncertainty is None else uncertainty)
    return np.array(found)

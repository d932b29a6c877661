"""All that one contender is asked: published suites and a domain's test split, in one run of lm-eval."""

from collections.abc import Sequence
from pathlib import Path

from cortex.benchmarks.answers_file import Benchmarked, ScoredAnswer, SuiteAnswers
from cortex.benchmarks.contender import Contender
from cortex.benchmarks.domain_tasks import DomainTask
from cortex.benchmarks.lm_eval_run import Logged, run_lm_eval
from cortex.benchmarks.suites import Suite
from cortex.settings import Settings


def benchmark(
    contender: Contender,
    suites: Sequence[Suite],
    tasks: Sequence[DomainTask],
    settings: Settings,
    folder: Path,
    *,
    limit: int | None,
    include: Path,
) -> Benchmarked:
    """Ask a contender all questions, and score its answers; `folder` is a new one for lm-eval's files.

    `limit` is the most questions of each published task; domains' tasks were limited when they were written, into
    `include`.

    Raises:
        ConfigError, UsageError, StageError, DataError: as `run_lm_eval`.
    """
    found: dict[str, SuiteAnswers] = {}
    # A run for each, since a limit takes a task's first questions, and a domain's are spread over its test period.
    if tasks:
        logged = run_lm_eval(
            contender, [task.suite for task in tasks], settings, folder / "domain", limit=None, include=include
        )
        found |= {task.suite.name: _of_domain(task, logged[task.suite.name]) for task in tasks}
    if suites:
        logged = run_lm_eval(contender, suites, settings, folder / "published", limit=limit, include=None)
        found |= {name: SuiteAnswers(tuple(map(_alone, answers))) for name, answers in logged.items()}
    return Benchmarked(contender.label, found)


def _of_domain(task: DomainTask, logged: Sequence[Logged]) -> SuiteAnswers:
    answers: list[ScoredAnswer] = []
    for one in logged:
        asked = task.questions[int(one.doc["place"])]
        answers.append(ScoredAnswer(asked.id, asked.cluster, asked.at, one.score, asked.prompt, one.reply))
    return SuiteAnswers(tuple(answers), task.span)


def _alone(one: Logged) -> ScoredAnswer:
    # The hash tells the questions of two versions of a data set apart.
    name = f"{one.task}/{one.doc_id}/{one.doc_hash[:12]}"
    return ScoredAnswer(name, name, None, one.score, one.prompt, one.reply)

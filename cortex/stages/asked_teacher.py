"""The teacher's answers to test questions in the evaluation, where it has no prompt of its own."""

from collections.abc import Sequence
from itertools import compress

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.evaluation.beside_teacher import beside_teacher
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.runs.context import RunContext
from cortex.teaching.prompted_answers import read_prompted


def teacher_chapters(
    context: RunContext,
    part: str,
    domain: Domain,
    test: pl.DataFrame,
    judged: tuple[str, Sequence[Graded]],
    reference: Sequence[Graded],
) -> list[Chapter]:
    """The chapter on the teacher beside the judged model; none where it answered no test question without a prompt.

    `judged` is the model's name and grades, `reference` a baseline's grades, of all questions of `test`.
    """
    answers = read_prompted(context.artifact("label").path, part)
    if not answers or context.profile.teacher.prompt:
        return []
    asked = [name in answers for name in test["id"]]
    rows = test.filter(pl.Series(asked))
    examples = list(read_rows(rows))
    texts = [answers[example.id].answer for example in examples]
    name, graded = judged
    return [
        beside_teacher(
            (name, list(compress(graded, asked))),
            [domain.grade(example, text) for example, text in zip(examples, texts, strict=True)],
            list(compress(reference, asked)),
            Clusters.read(rows, domain.span(rows)),
            scale=domain.scale,
            unanswered=texts.count(""),
            resamples=context.profile.evaluate.resamples,
            seed=context.profile.seed,
        )
    ]

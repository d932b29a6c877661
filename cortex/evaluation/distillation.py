"""Prompt distillation, judged: a student without the teacher's long prompt, beside the teacher with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.evaluation.bootstrap import Resamples, compare, measure_interval
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades
from cortex.evaluation.measure import Measure, Scale
from cortex.evaluation.record import Distillation, DistilledContender


@dataclass(frozen=True)
class Answered:
    """A contender's N graded answers to the questions that the teacher was asked."""

    name: str
    prompted: bool
    """The long prompt stood before each question."""
    graded: Sequence[Graded]


@dataclass(frozen=True)
class LongPrompt:
    """The teacher's prompt, and what it costs in every request."""

    digest: str
    tokens: int
    """Its length by the student's tokenizer."""
    price: float | None
    """Dollars for a million tokens of input; None if unknown."""
    cached_price: float | None
    """The same for input that the provider has in its cache."""


def judge_distillation(
    student: Answered,
    teacher: Answered,
    others: Sequence[Answered],
    reference: Sequence[Graded],
    clusters: Clusters,
    *,
    scale: Scale,
    prompt: LongPrompt,
    unanswered: int,
    resamples: int = 1000,
    seed: int = 0,
) -> Distillation:
    """Compare contenders on the same N questions, in the order of `clusters`; `reference` has a baseline's grades.

    Raises:
        DataError: there are fewer than two clusters, or grades do not fit the questions.
    """
    drawn = Resamples.draw(clusters, resamples=resamples, seed=seed)
    everyone = [(each, Grades.of(each.graded, reference)) for each in (student, teacher, *others)]
    (_, own), (_, taught), *_ = everyone
    difference = compare(drawn, (student.name, own), (teacher.name, taught))
    return Distillation(
        prompt=prompt.digest,
        examples=len(own),
        clusters=len(clusters),
        unanswered=unanswered,
        contenders=[_contender(each, grades, drawn, scale) for each, grades in everyone],
        difference=difference.difference,
        difference_interval=difference.interval,
        tokens_saved=prompt.tokens,
        dollars_saved=_dollars(prompt.tokens, prompt.price),
        dollars_saved_cached=_dollars(prompt.tokens, prompt.cached_price),
    )


def _contender(answered: Answered, grades: Grades, drawn: Resamples, scale: Scale) -> DistilledContender:
    loss, skill = Measure("loss", scale.loss), scale.skill_measure
    return DistilledContender(
        name=answered.name,
        prompted=answered.prompted,
        loss=grades.figure(loss),
        loss_interval=measure_interval(drawn, grades, loss),
        skill=grades.figure(skill),
        skill_interval=measure_interval(drawn, grades, skill),
        valid_share=float(grades.valid.mean()),
    )


def _dollars(tokens: int, price: float | None) -> float | None:
    """Dollars for a million requests: tokens of each, at dollars for a million tokens."""
    return None if price is None else tokens * price

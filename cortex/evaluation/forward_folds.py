"""Walk-forward: the test period in folds, each with baselines that were fitted on all that was known before it.

A model is trained once; its simple rivals could be fitted again as time goes by. So it is compared with rivals that
know as much as they could have known: the training split and the earlier folds, without what became known only after
the fold began (purge), and without the last clusters before it (embargo). Both are in López de Prado 2018, "Advances in
Financial Machine Learning", ch. 7.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples, compare, measure_interval
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Bools, Grades
from cortex.evaluation.measure import REFERENCE_LOSS, Scale
from cortex.evaluation.record import Comparison, label
from cortex.evaluation.study import Study

NAME, TITLE = "walk-forward", "Walk-forward"

Fit = Callable[[pl.DataFrame, pl.DataFrame], Mapping[str, Sequence[Graded]]]
"""Fits baselines on the first table, and returns their grades of each row of the second."""


@dataclass(frozen=True)
class Folds:
    """Division of a test period."""

    count: int = 5
    embargo: int = 1
    """Clusters before a fold that its baselines do not know, either."""


@dataclass(eq=False)
class _Walked:
    """The folds that could be judged."""

    refitted: dict[str, NDArray[np.float64]]
    """Losses of each refitted baseline (N); NaN outside of the folds that were judged."""
    judged: Bools
    """The examples of those folds (N)."""
    rows: list[Row] = field(default_factory=list[Row])
    sentences: list[str] = field(default_factory=list[str])


def walk_forward(
    study: Study,
    train: pl.DataFrame,
    test: pl.DataFrame,
    fit: Fit,
    scale: Scale,
    outcome_time: str | None,
    folds: Folds,
) -> Chapter | None:
    """The chapter on the judged model in folds of the test period; None where order in time means nothing.

    `outcome_time` is the column of the time at which a truth became known; None where that is the example's own.
    """
    clusters = study.clusters
    if not clusters.times:
        return None
    least = folds.count * study.resamples.block_length
    if len(clusters) < least:
        return _chapter(
            f"The test period has {len(clusters)} {scale.clusters}, too few for {folds.count} folds of at least a "
            f"block each: {least} are needed."
        )
    walked = _Walked({}, np.zeros(len(test), dtype=np.bool_))
    for number, places in enumerate(np.array_split(np.arange(len(clusters)), folds.count), start=1):
        _walk_fold(walked, number, places, study, (train, test), fit, scale, outcome_time, folds.embargo)
    if not walked.judged.any():
        return _chapter("No fold could be judged.", *walked.sentences)
    return _judged_chapter(walked, study, scale, folds)


def known_before(
    train: pl.DataFrame, test: pl.DataFrame, clusters: Clusters, first: int, embargo: int, outcome_time: str | None
) -> pl.DataFrame:
    """The rows whose truths were known when a fold began at cluster `first`, without the `embargo` ones before it."""
    column = pl.col(outcome_time or "at")
    earlier = test.filter(pl.Series(clusters.of < first - embargo))
    return pl.concat([train, earlier], how="vertical_relaxed").filter(column < clusters.times[first])


def _walk_fold(
    walked: _Walked,
    number: int,
    places: NDArray[np.intp],
    study: Study,
    splits: tuple[pl.DataFrame, pl.DataFrame],
    fit: Fit,
    scale: Scale,
    outcome_time: str | None,
    embargo: int,
) -> None:
    """Judge one fold, of the clusters at `places`; or say why it could not be."""
    train, test = splits
    clusters = study.clusters
    inside: Bools = (clusters.of >= places[0]) & (clusters.of <= places[-1])
    known = known_before(train, test, clusters, int(places[0]), embargo, outcome_time)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            graded = fit(known, test.filter(pl.Series(inside)))
            reference = graded[scale.reference]
            grades = {name: Grades.of(given, reference) for name, given in graded.items()}
    except (DataError, ValueError) as error:  # of the domain; and of libraries, such as for outcomes of one class
        walked.sentences.append(f"Fold {number} is left out, since its baselines could not be fitted: {error}.")
        return
    for text in sorted({" ".join(str(each.message).split()) for each in warned}):
        walked.sentences.append(f"In fold {number} the fit of a baseline warned: {text}.")
    for name, given in grades.items():
        walked.refitted.setdefault(name, np.full(len(test), np.nan))[inside] = given.loss
    walked.judged |= inside
    loss = _loss(study.contenders[study.judged], walked.refitted[scale.reference])[inside].mean()
    against = float(grades[scale.reference].loss.mean())
    cells = [
        Cell(text=f"{clusters.times[places[0]]:%Y-%m-%d} to {clusters.times[places[-1]]:%Y-%m-%d}"),
        *(Cell(value=float(value)) for value in (len(known), inside.sum(), loss, against)),
        Cell(value=1 - float(loss) / against) if against > 0 else Cell(text="no loss to save"),
    ]
    walked.rows.append(Row(name=f"fold {number}", cells=cells))


def _loss(grades: Grades, reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Losses where a reply that cannot be read counts as the refitted reference's."""
    return np.where(grades.valid, grades.loss, reference)


def _judged_chapter(walked: _Walked, study: Study, scale: Scale, folds: Folds) -> Chapter:
    part, drawn = _drawn(walked.judged, study)
    reference = walked.refitted[scale.reference][walked.judged]
    valid = study.contenders[study.judged].valid[walked.judged]
    loss = _loss(study.contenders[study.judged], walked.refitted[scale.reference])[walked.judged]
    own = Grades(loss, valid, {REFERENCE_LOSS: reference})
    skill, interval = own.figure(scale.skill_measure), measure_interval(drawn, own, scale.skill_measure)
    rivals = [
        compare(drawn, (study.judged, own), (name, Grades(losses[walked.judged], valid, {})))
        for name, losses in walked.refitted.items()
        if not np.isnan(losses[walked.judged]).any()
    ]
    found = "above 0" if interval.low > 0 else "below 0" if interval.high < 0 else "not told from 0"
    first = (
        f"Against a {label(scale.reference)} that is fitted again before each of {folds.count} folds, the "
        f"{scale.skill} of {label(study.judged)} is {skill:+z.3f}, 95% interval {interval.low:+z.3f} to "
        f"{interval.high:+z.3f}: {found}, on {len(part)} {scale.clusters} of {len(walked.rows)} folds."
    )
    note = f"Baselines know what was known before a fold, without the last {folds.embargo} of the {scale.clusters}."
    titles = ("Period", "Known", "Examples", scale.loss, f"{scale.loss} of the {label(scale.reference)}", scale.skill)
    forms = ("", ",.0f", ",.0f", ".3f", ".3f", "+z.3f")
    headings = [Heading(title=title, form=form) for title, form in zip(titles, forms, strict=True)]
    folded = Table(title="Folds", note=note, headings=headings, rows=walked.rows)
    return _chapter(first, *walked.sentences, tables=[folded, _rivals(rivals, scale)])


def _drawn(judged: Bools, study: Study) -> tuple[Clusters, Resamples]:
    """The clusters of the judged folds, and resamples of them."""
    clusters = study.clusters
    there = np.unique(clusters.of[judged])
    part = Clusters(
        np.searchsorted(there, clusters.of[judged]),
        tuple(clusters.names[at] for at in there),
        tuple(clusters.times[at] for at in there),
        clusters.span,
    )
    return part, Resamples.draw(part, resamples=len(study.resamples.counts), seed=study.seed)


def _rivals(rivals: Iterable[Comparison], scale: Scale) -> Table:
    return Table(
        title="Against baselines that are fitted again",
        note=f"The {scale.loss} of each less the model's, over all folds: above 0, the model is better.",
        headings=[Heading(title="Difference", form="+z.4f")],
        rows=[Row(name=one.second, cells=[Cell(value=one.difference, interval=one.interval)]) for one in rivals],
    )


def _chapter(*sentences: str, tables: Sequence[Table] = ()) -> Chapter:
    return Chapter(name=NAME, title=TITLE, sentences=list(sentences), tables=list(tables))

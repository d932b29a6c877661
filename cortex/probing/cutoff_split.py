"""Scores of the test examples split at the base's training cut-off: what it may have read of, and what it cannot."""

import datetime as dt

import numpy as np
import polars as pl

from cortex.evaluation.bootstrap import measure_interval
from cortex.evaluation.chapter import Cell, Heading, Row, Table
from cortex.evaluation.grades import Bools, Grades
from cortex.evaluation.measure import LOSS, Measure
from cortex.evaluation.study import Study
from cortex.probing.clustered import Clustered, words

SIDES = ("before the cut-off", "after the cut-off")


def split_scores(
    study: Study, test: pl.DataFrame, clustered: Clustered, skill: Measure, cutoff: dt.date
) -> tuple[list[str], Table]:
    """Sentences and a table of every model's scores on both sides. Examples of the cut-off's own day are before it."""
    after = (test["at"].dt.date() > cutoff).to_numpy()
    sides: dict[str, Bools] = dict(zip(SIDES, (~after, after), strict=True))
    rows = [
        Row(
            name=f"{name}, {side}",
            cells=_scores(study, name, test, which, clustered, skill),
            is_judged=name == study.judged,
        )
        for name in study.models
        for side, which in sides.items()
        if which.any()
    ]
    table = Table(
        title=f"Scores before and after {cutoff:%Y-%m-%d}",
        note="Only examples after the base's cut-off are unknown to it for certain.",
        headings=[
            Heading(title="Examples", form=".0f"),
            Heading(title="Mean loss", form=".4f"),
            Heading(title=skill.title, form=skill.form),
        ],
        rows=rows,
    )
    return [_sentence(study, rows, sides, skill)], table


def _scores(
    study: Study, name: str, test: pl.DataFrame, which: Bools, clustered: Clustered, skill: Measure
) -> list[Cell]:
    everything = study.contenders[name]
    grades = Grades(
        everything.loss[which], everything.valid[which], {key: all_[which] for key, all_ in everything.numbers.items()}
    )
    drawn = clustered.draw(test["id"].filter(pl.Series(which)).to_list())
    if drawn is None:
        return [Cell(value=len(grades)), Cell(text="one cluster"), Cell(text="one cluster")]
    loss = Measure("loss", LOSS)
    return [
        Cell(value=len(grades)),
        *(Cell(value=grades.figure(one), interval=measure_interval(drawn, grades, one)) for one in (loss, skill)),
    ]


def _sentence(study: Study, rows: list[Row], sides: dict[str, Bools], skill: Measure) -> str:
    told = [f"{words(row.cells[2], skill.form)} {row.name.partition(', ')[2]}" for row in rows if row.is_judged]
    if not np.any(sides[SIDES[1]]):
        return (
            f"{study.judged} has a {skill.title} of {' and '.join(told)}: no test example is later, so that nothing "
            "here is unknown to its base for certain."
        )
    return f"{study.judged} has a {skill.title} of {' and '.join(told)}: only the latter can speak for the future."

"""Intervals of returns: their coverage, their width, and a score that weighs one against the other."""

import numpy as np
import polars as pl
from scoringrules import crps_quantile

from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.forecasts import INTERVAL_LEVEL
from cortex.domains.markets.measures import SCALE
from cortex.domains.markets.scores.paired import mean_cell, skill_cell
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.study import Study

LEVELS = np.array([(1 - INTERVAL_LEVEL) / 2, 0.5, (1 + INTERVAL_LEVEL) / 2])
"""Levels of the stated quantiles: the interval's ends, and the expected return, which stands as the median."""

HEADINGS = [
    Heading(title="Interval score", form=".3%"),
    Heading(title="Interval skill", form="+z.3f"),
    Heading(title="Inside", form=".1%"),
    Heading(title="Below", form=".1%"),
    Heading(title="Above", form=".1%"),
    Heading(title="Width", form=".2%"),
]

NOTE = (
    "The weighted interval score of the stated quantiles: (|y - m| / 2 + 0.05 s) / 1.5, where y is the return that "
    "followed, m the expected return, which stands as the median, and s the width of the 90% interval plus 20 times "
    "the distance by which it missed y. It is the CRPS as three quantiles tell it (Bracher et al. 2021, “Evaluating "
    "epidemic forecasts in an interval format”), and assumes no shape between them. Skill is the share of the base "
    "rate's score that is saved. Of 90% intervals, 5% of returns should lie below, and 5% above."
)


def interval_score(grades: Grades, outcome: Floats) -> Floats:
    """The weighted interval score of N forecasts (N, a fraction): twice the mean pinball loss of three quantiles.

    Bracher et al. 2021, "Evaluating epidemic forecasts in an interval format", with one interval; equal to the
    quantile form of the CRPS of Berrisch and Ziel 2023, "CRPS learning". scoringrules' own `weighted_interval_score`
    (0.10) adds the median in place of its distance to the outcome, unless numba is installed.
    """
    stated = np.stack([grades.values(name) for name in ("low", "expected_return", "high")], axis=-1)
    return np.asarray(crps_quantile(outcome, stated, LEVELS), dtype=np.float64)


def interval_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """Every contender's interval score, coverage and sharpness."""
    outcome = test["outcome"].to_numpy()
    scores = {name: interval_score(grades, outcome) for name, grades in study.contenders.items()}
    rows = [
        Row(
            name=name,
            cells=_cells(study, grades, outcome, scores[name], scores[SCALE.reference]),
            is_judged=name == study.judged,
        )
        for name, grades in study.contenders.items()
    ]
    judged = next(row for row in rows if row.is_judged)
    return Chapter(
        name="intervals",
        title="Intervals of returns",
        sentences=[_coverage_words(study.judged, judged.cells[2]), _skill_words(judged.cells[1])],
        tables=[Table(title="Coverage and sharpness", note=NOTE, headings=HEADINGS, rows=rows)],
    )


def _cells(study: Study, grades: Grades, outcome: Floats, score: Floats, reference: Floats) -> list[Cell]:
    low, high = grades.values("low"), grades.values("high")
    below, above = (outcome < low).astype(np.float64), (outcome > high).astype(np.float64)
    return [
        mean_cell(study, score, (0.0, np.inf)),
        skill_cell(study, score, reference),
        mean_cell(study, 1 - below - above, (0.0, 1.0)),
        Cell(value=float(below.mean())),
        Cell(value=float(above.mean())),
        Cell(value=float((high - low).mean())),
    ]


def _coverage_words(judged: str, inside: Cell) -> str:
    assert inside.value is not None and inside.interval is not None
    low, high = inside.interval.low, inside.interval.high
    words = (
        f"The {INTERVAL_LEVEL:.0%} intervals of {judged} held {inside.value:.1%} of returns ({low:.1%} to {high:.1%})"
    )
    if high < INTERVAL_LEVEL:
        return f"{words}: they are too narrow for what they promise."
    if low > INTERVAL_LEVEL:
        return f"{words}: they are wider than what they promise."
    return f"{words}, which agrees with what they promise."


def _skill_words(skill: Cell) -> str:
    assert skill.value is not None and skill.interval is not None
    stated = f"by the interval score, skill is {skill.value:+z.3f} ({_range(skill)})"
    if skill.interval.low > 0:
        return f"They tell more of the size of moves than the training outcomes' own interval: {stated}."
    if skill.interval.high < 0:
        return f"They are worse than the training outcomes' own interval: {stated}."
    return f"They cannot be told from the training outcomes' own interval: {stated}."


def _range(cell: Cell) -> str:
    assert cell.interval is not None
    return f"{cell.interval.low:+z.3f} to {cell.interval.high:+z.3f}"

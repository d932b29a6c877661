"""Calibration of stated probabilities: the curve with its band, and the parts of the Brier score."""

import numpy as np
import polars as pl
from sklearn.isotonic import IsotonicRegression

from cortex.domains.markets.calibration import BINS, GROUP_EXAMPLES
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.measures import SCALE
from cortex.domains.markets.scores.paired import compared, mean_cell
from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.groups import make_group
from cortex.evaluation.study import Study

HEADINGS = [
    Heading(title="Stated on average", form=".1%"),
    Heading(title="Rose", form=".1%"),
    Heading(title="Stated less rose", form="+z.1%"),
    Heading(title="Miscalibration", form=".4f"),
    Heading(title="Discrimination", form=".4f"),
]

NOTE = (
    "The Brier score is the outcomes' own variance, plus miscalibration, less discrimination (Dimitriadis, Gneiting "
    "and Jordan 2021, “Stable reliability diagrams for probabilistic classifiers”). Miscalibration is lost by stating "
    "probabilities that do not come true, discrimination is gained by telling days apart. Both are fitted to the test "
    "examples, so that even a forecast that knows nothing has a little of each."
)


def calibration_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """The calibration of every contender, and curves of the judged model and its best rival."""
    lines = [_line(name, study) for name in compared(study, SCALE.reference)]
    rows = [
        Row(name=name, cells=_cells(study, grades), is_judged=name == study.judged)
        for name, grades in study.contenders.items()
    ]
    chart = Chart(
        title="Calibration curves",
        note="Readable forecasts in groups of equal size: the mean stated probability of up, and the share that rose, "
        "with 95% bands from resamples of decision dates. On the dashed line, what is stated comes true.",
        x_title="stated probability of up",
        y_title="rose",
        x_form=".0%",
        y_form=".0%",
        has_diagonal=True,
        lines=[line for line in lines if line.x],
    )
    return Chapter(
        name="calibration",
        title="Calibration",
        sentences=[_words(study.judged, lines[0])],
        tables=[Table(title="Parts of the Brier score", note=NOTE, headings=HEADINGS, rows=rows)],
        charts=[chart] if chart.lines else [],
    )


def score_parts(p: Floats, up: Floats) -> tuple[float, float]:
    """Miscalibration and discrimination of N probabilities, by isotonic recalibration (Dimitriadis et al. 2021)."""
    recalibrated = IsotonicRegression().fit_transform(p, up)
    best = float(((recalibrated - up) ** 2).mean())
    return float(((p - up) ** 2).mean()) - best, float(up.var()) - best


def _cells(study: Study, grades: Grades) -> list[Cell]:
    p, up = grades.values("p_up"), grades.values("up")
    lost, gained = score_parts(p, up)
    return [
        Cell(value=float(p.mean())),
        Cell(value=float(up.mean())),
        mean_cell(study, p - up),
        Cell(value=lost),
        Cell(value=gained),
    ]


def _line(name: str, study: Study) -> Line:
    """The curve of one contender; without points where there are too few decision dates."""
    grades = study.contenders[name]
    p, up, valid = grades.values("p_up"), grades.values("up"), grades.valid
    x, y, low, high = list[float](), list[float](), list[float](), list[float]()
    if valid.any():
        count = max(1, min(BINS, int(valid.sum()) // GROUP_EXAMPLES))
        edges = np.unique(np.quantile(p[valid], np.linspace(0, 1, count + 1)[1:-1]))
        group_of = np.searchsorted(edges, p)
        for at in np.unique(group_of[valid]).tolist():
            member = valid & (group_of == at)
            group = make_group(p, up, member, study.resamples, up_to=1.0)
            if group.share is not None and group.interval is not None:
                x.append(float(p[member].mean()))
                y.append(group.share)
                low.append(group.interval.low)
                high.append(group.interval.high)
    return Line(name=name, x=x, y=y, low=low, high=high, has_marks=True)


def _words(judged: str, line: Line) -> str:
    if not line.x:
        return f"The readable forecasts of {judged} are of too few decision dates for a curve."
    outside = sum(not low <= x <= high for x, low, high in zip(line.x, line.low, line.high, strict=True))
    return (
        f"In {outside} of {len(line.x)} groups of forecasts of {judged}, the stated probability lies outside of the "
        "95% band of the share that rose; where all is calibrated, one in twenty does."
    )

"""Abstention: the error of the forecasts that are kept when the least certain ones are left out."""

import numpy as np
import polars as pl

from cortex.domains.markets.calibration import uncertainty
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.measures import SCALE
from cortex.domains.markets.scores.paired import compared, skill_cell
from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.grades import Floats, Grades
from cortex.evaluation.measure import REFERENCE_LOSS
from cortex.evaluation.study import Study

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SHOWN = (0.1, 0.25, 0.5, 1.0)


def abstention_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """Skill on the most certain forecasts of each contender, and curves of the judged model and its best rival."""
    rows = [
        Row(name=name, cells=[_kept(study, grades, share) for share in SHOWN], is_judged=name == study.judged)
        for name, grades in study.contenders.items()
        if name != SCALE.reference
    ]
    lines = [_line(name, study) for name in compared(study, SCALE.reference)]
    return Chapter(
        name="abstention",
        title="Abstention",
        sentences=[_words(study)],
        tables=[
            Table(
                title="Skill on the most certain forecasts",
                note=f"{SCALE.skill} on the share of examples about which a contender is most certain: its stated "
                "probability is farthest from one half. Unreadable answers are the least certain. Certainty is as "
                "stated, and not calibrated by these outcomes.",
                headings=[Heading(title=f"{share:.0%} kept", form="+z.3f") for share in SHOWN],
                rows=rows,
            )
        ],
        charts=[
            Chart(
                title="Error kept",
                note=f"The mean {SCALE.loss} of the forecasts that are kept, with 95% bands. Where certainty means "
                "something, it falls to the left.",
                x_title="share kept",
                y_title=SCALE.loss,
                x_form=".0%",
                y_form=".3f",
                lines=lines,
            )
        ],
    )


def keep(doubt: Floats, share: float) -> Floats:
    """The weight of each of N examples when the most certain share is kept: 0 or 1, and between among equals."""
    least = float(np.quantile(doubt, share, method="inverted_cdf"))
    surely, equal = doubt < least, doubt == least
    return surely + equal * (share * len(doubt) - surely.sum()) / equal.sum()


def _doubt(grades: Grades) -> Floats:
    stated = np.array([uncertainty(p, {}) for p in grades.values("p_up").tolist()])
    return np.where(grades.valid, stated, 1.0)


def _kept(study: Study, grades: Grades, share: float) -> Cell:
    return skill_cell(study, grades.loss, grades.values(REFERENCE_LOSS), keep(_doubt(grades), share))


def _line(name: str, study: Study) -> Line:
    grades, drawn = study.contenders[name], study.resamples
    doubt = _doubt(grades)
    x, y, low, high = list[float](), list[float](), list[float](), list[float]()
    for share in SHARES:
        weight = keep(doubt, share)
        sizes = drawn.means(weight)
        if sizes.all():
            risk = float((weight * grades.loss).sum() / weight.sum())
            interval = drawn.interval(risk, drawn.means(weight * grades.loss) / sizes, (0.0, 1.0))
            x.append(share)
            y.append(risk)
            low.append(interval.low)
            high.append(interval.high)
    return Line(name=name, x=x, y=y, low=low, high=high, has_marks=True)


def _words(study: Study) -> str:
    """The skill that abstaining from the less certain half would gain."""
    grades, drawn = study.contenders[study.judged], study.resamples
    weight = keep(_doubt(grades), 0.5)
    half = _kept(study, grades, 0.5)
    if half.value is None:
        return f"{study.judged} has too few certain forecasts to tell what abstaining gains."
    whole = grades.loss
    gain = float(whole.mean() - (weight * whole).sum() / weight.sum())
    replicates = drawn.means(whole) - drawn.means(weight * whole) / drawn.means(weight)
    interval = drawn.interval(gain, replicates)
    stated = f"the {SCALE.loss} falls by {gain:+z.4f} ({interval.low:+z.4f} to {interval.high:+z.4f})"
    verdict = (
        "its certainty means something"
        if interval.low > 0
        else "its certainty misleads"
        if interval.high < 0
        else "nothing shows that its certainty means anything"
    )
    return f"Where {study.judged} keeps its more certain half, {stated}: {verdict}."

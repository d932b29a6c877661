"""Figures of contenders on the same examples, each with its interval over the study's clusters."""

import numpy as np

from cortex.evaluation.chapter import Cell
from cortex.evaluation.grades import Floats, saved
from cortex.evaluation.study import Study

ORACLE_NAME = "oracle"


def mean_cell(study: Study, values: Floats, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Cell:
    """The mean of N values."""
    estimate = float(values.mean())
    return Cell(value=estimate, interval=study.resamples.interval(estimate, study.resamples.means(values), bounds))


def skill_cell(study: Study, loss: Floats, reference: Floats, weight: Floats | None = None) -> Cell:
    """The share of the reference's loss that is saved on N examples, or on those with a weight (N, 0 to 1).

    Empty where there are none, in the sample or in a resample.
    """
    kept = np.ones(len(loss)) if weight is None else weight
    drawn = study.resamples.means(kept)
    if not drawn.all():
        return Cell(text="too few")
    estimate = float(saved(np.asarray((kept * loss).sum()), np.asarray((kept * reference).sum())))
    replicates = saved(study.resamples.means(kept * loss), study.resamples.means(kept * reference))
    return Cell(value=estimate, interval=study.resamples.interval(estimate, replicates, (-np.inf, 1.0)))


def compared(study: Study, reference: str) -> tuple[str, ...]:
    """The contenders of a chart: the judged model, and the best baseline that is neither oracle nor reference."""
    rivals = [name for name in study.baselines if name not in (reference, ORACLE_NAME)]
    best = sorted(rivals, key=lambda name: float(study.contenders[name].loss.mean()))[:1]
    return (study.judged, *best)

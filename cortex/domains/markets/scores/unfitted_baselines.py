"""Baselines that could not be fitted, with their reasons."""

import numpy as np
import polars as pl

from cortex.domains.markets.baselines import fit_baselines
from cortex.domains.markets.config import DataConfig
from cortex.domains.markets.examples import feature_names
from cortex.domains.markets.measures import SCALE
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.record import label
from cortex.evaluation.study import Study


def unfitted_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """A sentence for each baseline that stands as the base rate.

    Those that state its numbers are fitted once more, for their reasons.
    """
    plain = study.contenders[SCALE.reference].values("p_up")
    suspected = [
        name
        for name in study.baselines
        if name != SCALE.reference and np.array_equal(study.contenders[name].values("p_up"), plain)
    ]
    reasons = fit_baselines(train, test, feature_names(train), only=suspected).unfitted if suspected else {}
    sentences = [
        f"The baseline {label(name)} could not be fitted, and stands as the base rate: {reason}."
        for name, reason in reasons.items()
    ]
    if not sentences:
        sentences = [f"All {len(study.baselines)} baselines could be fitted on the training examples."]
    return Chapter(name="baselines", title="Baselines", sentences=sentences)

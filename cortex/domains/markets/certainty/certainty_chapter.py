"""The chapter on certainty: gates that may abstain, judged by the error that they save."""

from collections.abc import Sequence

import polars as pl

from cortex.domains.markets.certainty.certainty_case import Market, read_cases
from cortex.domains.markets.certainty.certainty_gate import CannotTellError
from cortex.domains.markets.certainty.certainty_tables import (
    gate_sentence,
    gate_table,
    interval_sentence,
    interval_table,
    product_sentence,
    product_table,
)
from cortex.domains.markets.certainty.error_product import measure_joint_error
from cortex.domains.markets.certainty.gate_bench import Bench
from cortex.domains.markets.certainty.gate_findings import find_all
from cortex.domains.markets.config import DataConfig
from cortex.evaluation.chapter import Chapter, Table
from cortex.evaluation.study import Study

BESIDE = ("logistic_regression",)
"""Baselines whose gates are judged, too: a gate that saves as much of theirs is worth nothing particular to a model."""


def certainty_chapter(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """Judge every gate on the judged model and on the baselines beside it, and the claim of multiplied errors."""
    market = Market.read(study, train, test)
    cases = read_cases(study, market)
    names = (study.judged, *(name for name in BESIDE if name in cases))
    sentences, tables = list[str](), list[Table]()
    try:
        found = find_all([cases[name] for name in names], Bench.of(study, market))
        sentences += [words(found, study.judged) for words in (gate_sentence, interval_sentence)]
        for name in names:
            is_judged = name == study.judged
            tables += [table(found, name, is_judged=is_judged) for table in (gate_table, interval_table)]
        sentences.append(_tried(len(found), names))
    except CannotTellError as refusal:
        sentences.append(f"No gate can be judged: {refusal}.")
    try:
        rivals = {name: case for name, case in cases.items() if name in cases[study.judged].rivals}
        joint = measure_joint_error(rivals, study.resamples)
        sentences.append(product_sentence(joint))
        tables.append(product_table(joint))
    except CannotTellError as refusal:
        sentences.append(f"The claim of multiplied error rates cannot be tried: {refusal}.")
    return Chapter(name="certainty", title="Certainty", sentences=sentences, tables=tables)


def _tried(count: int, names: Sequence[str]) -> str:
    return (
        f"{count} gates of {len(names)} forecasters were tried. Each decides by what was known before, with outcomes "
        "that reach into its step left out; p values are corrected for all of them together."
    )

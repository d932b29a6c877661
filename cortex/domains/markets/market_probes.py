"""Probes of a model of markets: its test questions reworded, permuted, made odd, or asked by their date alone."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.examples import feature_names
from cortex.domains.markets.market_oddities import odd_probes
from cortex.domains.markets.market_recall import recall_probes
from cortex.domains.markets.permuted_values import permuted_probes
from cortex.domains.markets.prompt_sheet import Sheet
from cortex.domains.markets.rewordings import rewordings
from cortex.domains.probe import Probe
from cortex.domains.probe_rows import spread_rows, with_last_turn
from cortex.domains.probe_section import ProbeCounts

_RANKED_ROWS = 20_000
"""Training rows by which features are ranked: more would hardly change the order."""


def market_probes(
    config: DataConfig, style: Style, train: pl.DataFrame, test: pl.DataFrame, counts: ProbeCounts, seed: int
) -> list[Probe]:
    """All probes that the counts ask for; a question that cannot be taken apart is left out."""
    probes = list(_reworded(config, style, spread_rows(test, counts.reworded)))
    if counts.permuted:
        ranked = [name for name in ranked_features(train) if name in _named(test, style)][: counts.features]
        probes += permuted_probes(spread_rows(test, counts.permuted), ranked, style, seed)
    if counts.odd:
        probes += odd_probes(spread_rows(test, counts.odd), train, style, seed)
    if counts.recalled:
        probes += recall_probes(config, style, train, test, counts.recalled)
    return probes


def ranked_features(train: pl.DataFrame) -> list[str]:
    """The features, those first whose ranks go most with the outcome's (Spearman 1904), either way."""
    rows = spread_rows(train, _RANKED_ROWS)
    names = feature_names(train)
    found = rows.select(pl.corr(name, "outcome", method="spearman").abs().alias(name) for name in names).row(0)
    strength = np.nan_to_num(np.array(found, dtype=np.float64), nan=-1.0)
    return [names[place] for place in np.argsort(-strength, kind="stable")]


def _named(test: pl.DataFrame, style: Style) -> set[str]:
    """Names of the features in the first question."""
    sheet = Sheet.read(next(read_rows(test.head(1))).text, style)
    return {entry.name for entry in sheet.entries} if sheet else set()


def _reworded(config: DataConfig, style: Style, rows: pl.DataFrame) -> Iterator[Probe]:
    for example in read_rows(rows):
        sheet = Sheet.read(example.text, style)
        for variant, text in rewordings(sheet, config).items() if sheet else ():
            yield Probe("reworded", example, variant, with_last_turn(example, text), "the same answer")

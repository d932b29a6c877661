"""Questions for a past return by its asset and date alone: only a model that has read of it can answer."""

import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.markets.bars import FIXING
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.protocol import answer_form
from cortex.domains.probe import Probe
from cortex.domains.probe_rows import spread_rows
from cortex.domains.question import Message

NAMED, UNNAMED, EVENTS = "with the asset's name", "without the asset's name", "for the largest moves, with the name"

_FULL = """\
Recall what happened to the price of {asset} over {horizon} from {date} on. No data are given: answer from memory. \
Reason step by step inside <think> tags. {form}"""


def recall_probes(config: DataConfig, style: Style, train: pl.DataFrame, test: pl.DataFrame, count: int) -> list[Probe]:
    """`count` dates of the whole history, each with and without its asset's name; and as many dates of large moves.

    Half of the dates are of the test split, as far as it has so many.
    """
    late = spread_rows(test, count // 2 or 1)
    early = spread_rows(train, count - len(late)).select(test.columns)
    rows = pl.concat([early, late]).sort("at", "symbol")
    everything = pl.concat([train.select(test.columns), test])
    moves = everything.sort(pl.col("outcome").abs(), descending=True).unique(
        "cluster", keep="first", maintain_order=True
    )
    return [
        *_ask(config, style, rows, NAMED),
        *_ask(config, style, rows, UNNAMED),
        *_ask(config, style, moves.head(count).sort("at", "symbol"), EVENTS),
    ]


def _ask(config: DataConfig, style: Style, rows: pl.DataFrame, variant: str) -> list[Probe]:
    nobody = "a currency pair" if config.bar == FIXING else "an asset"
    probes: list[Probe] = []
    for example, symbol, at in zip(read_rows(rows), rows["symbol"], rows["at"], strict=True):
        asset = nobody if variant == UNNAMED else symbol
        date = f"{at:%Y-%m-%d %H:%M} UTC"
        if style == "compact":
            text = f"{asset} {config.horizon.short()} {date}"
        else:
            text = _FULL.format(
                asset=asset, horizon=config.horizon.words(config.bar), date=date, form=answer_form(config)
            )
        group = variant if variant == UNNAMED else symbol
        expected = "that it does not know"
        probes.append(Probe("recalled", example, variant, (Message("user", text),), expected, group, at))
    return probes

"""A market's examples as an audit sees them: features as tokens, the return, the rise, and series that end early."""

import datetime as dt

import polars as pl

from cortex.domains.audit_view import AuditView
from cortex.domains.markets.account import shortened
from cortex.domains.markets.bars import FIXING, Bar
from cortex.domains.markets.examples import feature_names
from cortex.domains.markets.outcomes import rise

ALIKE = 0.6
"""The share of equal features from which on two questions count as near-duplicates: four of five. By chance, two
numbers agree to six decimals too seldom for that."""

ENDED_DAYS = 30
"""Days without bars before the newest one, after which a series counts as ended."""


def view_market(rows: pl.DataFrame, bar: Bar) -> AuditView:
    """The view of examples of these bars.

    Questions are compared by their features, to six decimals, since prompts of few words are often the same. A fixing
    is published, not traded: rates that a central bank holds are no filled ones.
    """
    names = feature_names(rows)
    tokens = [
        pl.when(pl.col(name) != 0).then(pl.format("{} {}", pl.lit(name), pl.col(name).round(6))) for name in names
    ]
    listed = rows.select(pl.concat_list(tokens).list.drop_nulls().alias("tokens"))["tokens"]
    return AuditView(
        tokens=listed,
        alike=ALIKE,
        known=tuple(names),
        series="symbol",
        outcome=rows["outcome"],
        happened=rows.select(rise(pl.col("outcome")).alias("rise"))["rise"],
        may_be_filled=bar != FIXING,
        notes=_survivors(rows),
    )


def _survivors(rows: pl.DataFrame) -> tuple[str, ...]:
    """A note on symbols that end early, or on their absence: prices of survivors alone flatter any forecast."""
    last = rows.group_by("symbol").agg(pl.col("at").max()).sort("symbol")
    newest = last["at"].max()
    assert isinstance(newest, dt.datetime)
    ended = last.filter(pl.col("at") < newest - dt.timedelta(days=ENDED_DAYS))["symbol"].to_list()
    if ended:
        return (f"survivorship: {len(ended)} of {last.height} symbols end before the others: {shortened(ended)}",)
    return (
        f"survivorship: all {last.height} symbols last to the end: if others ended before, the data leave them out",
    )

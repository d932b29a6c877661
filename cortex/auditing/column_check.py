"""Columns that are known when a question is asked: each must vary, and none may follow the outcome too well."""

import polars as pl

from cortex.domains.audit_view import AuditView

TOO_GOOD = 0.75
"""The rank correlation with the outcome from which on a column is taken to know it. The strongest planted signal of the
shipped profiles has 0.5; of real daily prices, no feature has 0.1."""

ENOUGH = 30
"""Examples below which a correlation may well be chance."""

_OUTCOME, _SERIES = "_outcome", "_series"


def check_columns(rows: pl.DataFrame, view: AuditView) -> list[str]:
    """Findings on constant columns, and on those whose value, or change since the series' last, follows the outcome."""
    found = [
        f"{name} is {rows[name][0]} in every example: it tells nothing; leave it out"
        for name in view.known
        if rows[name].n_unique() == 1
    ]
    if view.outcome is None or len(rows) < ENOUGH:
        return found
    return found + _future_correlated(rows, view, view.outcome)


def _future_correlated(rows: pl.DataFrame, view: AuditView, outcome: pl.Series) -> list[str]:
    values = rows.select("at", *view.known).with_columns(outcome.alias(_OUTCOME))
    forms = {name: pl.col(name) for name in view.known}
    if view.series:
        values = values.with_columns(rows[view.series].alias(_SERIES))
        forms |= {f"the change of {name}": pl.col(name).diff().over(_SERIES) for name in view.known}
    table = values.sort("at").select(_OUTCOME, **forms)
    correlations = table.select(
        pl.corr(
            pl.col(name).filter(pl.col(name).is_not_null()),
            pl.col(_OUTCOME).filter(pl.col(name).is_not_null()),
            method="spearman",
        ).alias(name)
        for name in forms
    )
    return [
        f"{name} has a rank correlation of {correlation:.2f} with the outcome, more than anything known beforehand "
        "has: it is of a later time, or of the outcome itself"
        for name, correlation in correlations.row(0, named=True).items()
        if correlation is not None and abs(correlation) > TOO_GOOD
    ]

"""Bars whose prices were filled forward where nobody traded, by a column that marks them: they are left out."""

from dataclasses import replace

import polars as pl

from cortex.domains.markets.account import quoted
from cortex.domains.markets.table_file import TableFile, column_name
from cortex.errors import DataError


def without_imputed(table: TableFile, cells: pl.DataFrame, imputed: str) -> TableFile:
    """A file's table without the rows that a column of its cells marks, and without that column.

    A file without prices needs no such column. Raises DataError where one with prices lacks it, or a row of it is
    neither true nor false.
    """
    if imputed not in cells.columns:
        if table.prices:
            raise DataError(
                f"{table.name}: has no column {quoted(imputed)}, which `imputed` names: name another, or none"
            )
        return table
    raw = cells[imputed]
    texts = raw.cast(pl.String).str.strip_chars().str.to_lowercase().fill_null("")
    marked = texts.is_in(["true", "1", "1.0"])
    unclear = ~marked & ~texts.is_in(["false", "0", "0.0"])
    if unclear.any():
        row = int(unclear.arg_max() or 0)
        raise DataError(f"{table.name}: row {row + 1} has {quoted(raw[row])} for {imputed}: write true or false")
    name, why = column_name(imputed), "marks prices that were filled forward"
    columns = tuple(
        replace(column, role="left out", why=why) if column.name == imputed else column for column in table.columns
    )
    left_out = (f"{int(marked.sum()):,} bars left out, whose prices were filled forward",) if marked.any() else ()
    return replace(
        table,
        rows=table.rows.filter(~marked).drop(name, strict=False),
        metrics=[metric for metric in table.metrics if metric != name],
        columns=columns,
        notes=(*table.notes, *left_out),
    )

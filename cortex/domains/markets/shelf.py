"""A shelf for decisions: it takes them symbol by symbol, and gives them back in the order of time."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from cortex.domains.domain import Workspace

BATCH_ROWS = 1 << 16
"""Rows of a batch in a temporary file: a slice of the file reads only the batches that it meets."""


@dataclass(frozen=True)
class _Stored:
    """One table: in memory, or in a file."""

    rows: pl.DataFrame | Path
    sums: pl.DataFrame
    """Number of rows up to each time, that time's included: time, rows."""

    def until(self, last: dt.datetime) -> int:
        """Number of rows up to a time, the time's included."""
        place = int(self.sums["time"].search_sorted(last, side="right"))
        return int(self.sums["rows"][place - 1]) if place else 0

    def slice(self, start: int, end: int) -> pl.DataFrame:
        if isinstance(self.rows, Path):
            return pl.scan_ipc(self.rows).slice(start, end - start).collect()
        return self.rows[start:end]


@dataclass
class Shelf:
    """Tables of decisions, each sorted by time; in temporary files as soon as there are more than one part's rows."""

    workspace: Workspace
    _stored: list[_Stored] = field(default_factory=list[_Stored])
    _rows: int = 0

    def add(self, decided: pl.DataFrame) -> None:
        """Store one more table. Raises OSError or a polars error where the disk is full."""
        counts = decided.group_by("time").len("rows").sort("time")
        sums = counts.with_columns(pl.col("rows").cum_sum())
        self._rows += decided.height
        folder = self.workspace.scratch
        if folder is None or self._rows <= self.workspace.part_rows:
            self._stored.append(_Stored(decided, sums))
            return
        file = folder / f"decisions-{len(self._stored)}.arrow"
        decided.write_ipc(file, record_batch_size=BATCH_ROWS)
        self._stored.append(_Stored(file, sums))

    def parts(self) -> Iterator[pl.DataFrame]:
        """All decisions in parts, sorted by time and symbol; no time is in two parts."""
        before = [0 for _ in self._stored]
        ends = self._last_times()
        for number, last in enumerate(ends):
            self.workspace.on_progress("examples", number, len(ends))
            until = [stored.until(last) for stored in self._stored]
            slices = [stored.slice(*rows) for stored, *rows in zip(self._stored, before, until, strict=True)]
            # One table is sorted already, and then needs no copy.
            yield slices[0] if len(slices) == 1 else pl.concat(slices).sort("time", "symbol")
            before = until

    def _last_times(self) -> list[dt.datetime]:
        """The time at which each part ends."""
        counts = [
            stored.sums.with_columns(pl.col("rows").diff().fill_null(pl.col("rows").first()).cast(pl.Int64))
            for stored in self._stored
        ]
        times = pl.concat(counts).group_by("time").agg(pl.col("rows").sum()).sort("time")
        number = -(-self._rows // self.workspace.part_rows)
        part = ((pl.col("rows").cum_sum() - pl.col("rows")) * number // self._rows).alias("part")
        return times.group_by(part).agg(pl.col("time").last()).sort("part")["time"].to_list()

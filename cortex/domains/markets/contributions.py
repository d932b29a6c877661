"""Contributions of source files to examples: the proof that one's own data was used, or a refusal."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from cortex.domains.markets.account import shortened
from cortex.domains.markets.bars import duration_of
from cortex.domains.markets.closing import CLOSED
from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.features import warmup_bars
from cortex.errors import DataError

ORIGINS: dict[str, pl.DataType] = {
    "file": pl.String(),
    "symbol": pl.String(),
    "rows": pl.UInt32(),
    "first": CLOSED,
    "last": CLOSED,
    "serves": pl.Boolean(),
}
"""Columns of a table of origins: a file's rows of a symbol, their first and last time, and if any column serves."""


def origins_of(file: str, rows: pl.DataFrame, *, serves: bool) -> pl.DataFrame:
    """The origins of one file's rows, which have symbol and time."""
    counts = rows.group_by("symbol", maintain_order=True).agg(
        pl.len().alias("rows"), pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    )
    return counts.select(pl.lit(file).alias("file"), "symbol", "rows", "first", "last", serves=pl.lit(serves))


@dataclass
class Contributions:
    """Number of examples that each file contributes to, counted part by part."""

    config: DataConfig
    origins: pl.DataFrame
    _counts: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, examples: pl.DataFrame) -> None:
        """Count further examples, which have symbol, time and outcome_time.

        An example draws on the bars of its windows, as long as they are by the calendar, up to its outcome.
        """
        source = self.config.source
        whole = duration_of(source.bars if isinstance(source, FilesConfig) else "days")
        reach = warmup_bars(self.config) * whole
        drawn = (
            examples.lazy()
            .select("symbol", "time", "outcome_time")
            .join(self.origins.lazy().filter("serves"), on="symbol")
            .filter((pl.col("first") < pl.col("outcome_time")) & (pl.col("time") - reach <= pl.col("last")))
            .group_by("file")
            .len()
            .collect()
        )
        for file, count in drawn.iter_rows():
            self._counts[file] = self._counts.get(file, 0) + count

    def describe(self, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Descriptions of files, each with the number of its rows, and of the examples that it contributes to.

        Raises:
            DataError: a file contributes to none, though nothing in the profile says that it may not.
        """
        rows = dict(self.origins.group_by("file").agg(pl.col("rows").sum()).iter_rows())
        for file in files:
            if not self._counts.get(file["name"]) and not self._may_be_unused(file["name"]):
                raise DataError(self._refusal(file["name"]))
        return [
            {**file, "rows": rows.get(file["name"], 0), "examples": self._counts.get(file["name"], 0)} for file in files
        ]

    def _may_be_unused(self, file: str) -> bool:
        source = self.config.source
        if not isinstance(source, FilesConfig):
            return False
        of_file = self.origins.filter(pl.col("file") == file)
        left_by_name = source.metrics is not None and not of_file["serves"].any()
        chosen = None if source.symbols is None else {symbol.strip().casefold() for symbol in source.symbols}
        others = chosen is not None and not chosen & {symbol.casefold() for symbol in of_file["symbol"]}
        return file in source.unused or left_by_name or others

    def _refusal(self, file: str) -> str:
        found = self.origins.filter(pl.col("file") == file)
        if not found["serves"].any():
            why = "none of its columns is a price or serves as a metric"
        else:
            symbols = shortened(found["symbol"].unique().sort().to_list(), 3)
            first, last = found["first"].min(), found["last"].max()
            shown = [str(time)[:16] for time in (first, last)]
            why = f"no decision draws on its rows of {symbols}, from {shown[0]} to {shown[1]}"
        return f"{file} contributes to no example: {why}; give more history, leave it out, or name it under `unused`"

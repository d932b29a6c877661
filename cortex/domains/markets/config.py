"""The data of a market's profile: its source, the question asked, and the split by time."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from cortex.domains.markets.backtest.trading import Trading
from cortex.domains.markets.bars import DAY, FIXING, Bar, Length, bar_of
from cortex.domains.markets.live.public_assets import CHAIN_OF
from cortex.domains.markets.pairs import MAJORS, read_pair
from cortex.domains.markets.spans import Span
from cortex.section import Date, Items, Section, UserPath

CHAINS = (
    "NEAR", "ETH", "BTC", "SOL", "AVAX", "ATOM", "DOT", "ADA", "APT", "SUI", "TIA", "INJ",
    "ARB", "OP", "SEI", "ALGO", "XLM", "TRX", "LTC", "BCH", "FIL", "ICP", "HBAR", "TON",
    "BNB", "XRP", "DOGE", "ETC", "XTZ", "EGLD", "FLOW", "STX", "KAVA", "CELO", "RUNE", "OSMO",
)  # fmt: skip
"""The names that simulated chains take, in this order."""

Style = Literal["full", "compact"]

Metric = Literal["flow", "whales", "active", "fees", "stables"]


class SimulatorConfig(Section):
    """A made-up market with a planted signal: see `cortex.domains.markets.simulator`."""

    kind: Literal["simulator"] = "simulator"

    chains: int = Field(default=12, ge=1, le=len(CHAINS))
    """Number of chains; each is one symbol."""

    days: int = Field(default=1120, ge=2, le=36_500)
    """Days of history for every chain."""

    start: Date = dt.date(2020, 1, 1)
    """The first day."""

    signal: dict[Metric, float] = Field(default_factory=lambda: {"flow": -1.1, "whales": 0.9})
    """Log-odds of an up move for each level of a metric. A metric that is not named carries no signal."""


_STAMPED = ("imputed", "vintages", "news")


class NewsConfig(Section):
    """Dated texts, such as news and events, that prompts show from their stamp on."""

    paths: Items[UserPath] = Field(min_length=1)
    """Parquet or CSV files with the columns `known_at`, the time from which a text was known, and `text`; and `symbol`
    where it concerns one asset alone. A plain date counts from the end of that day."""

    days: int = Field(default=7, ge=1, le=365)
    """Days for which a text is shown."""

    items: int = Field(default=3, ge=1, le=20)
    """Texts of a prompt at most: the newest."""

    characters: int = Field(default=200, ge=20, le=2000)
    """Characters of a text at most."""

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value


class FilesConfig(Section):
    """Parquet or CSV files of OHLC prices, with on-chain metrics beside them or in files of their own."""

    kind: Literal["files"] = "files"

    paths: Items[UserPath] = Field(min_length=1)
    """Files, or folders whose `.parquet` and `.csv` files are read."""

    symbols: Items[str] | None = None
    """Symbols to keep. Default: all."""

    metrics: Items[str] | None = None
    """Extra numeric columns to use as on-chain metrics. Default: all; an empty list: none."""

    bars: Length = "days"
    """UTC days, into which shorter bars are put together; or the length of the bars, which then stay as they are."""

    stamps: Literal["open", "close"] = "open"
    """The moment that a bar's time is of, where the column's name does not say. It matters for bars other than days."""

    zone: str | None = None
    """The IANA time zone of times that name none, such as `America/New_York`, and of days stamped when they open.
    Default: UTC."""

    unused: Items[str] = ()
    """Names of files that may contribute to no example. A build is refused if any other file contributes to none."""

    imputed: str | None = None
    """A column that is true, or 1, where a price was filled forward. Such a bar is left out, so it is never a truth."""

    vintages: Items[UserPath] = ()
    """Files of metrics with the column `known_at`, the time from which a row was known: a row with the date of an
    earlier one revises it from then on. Without a column `symbol` it concerns all. A plain date counts from the end of
    that day."""

    news: NewsConfig | None = None
    """Dated texts beside the numbers, in prompts in prose."""

    @field_validator("paths", "vintages", mode="before")
    @classmethod
    def _one_path(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @model_serializer(mode="wrap")
    def _without_absent_stamps(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write a source without any of these as before there were such: its profile keeps its digest."""
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if name not in _STAMPED or value}

    @property
    def all_paths(self) -> tuple[Path, ...]:
        """The paths of all files that are read."""
        return (*self.paths, *self.vintages, *(self.news.paths if self.news else ()))

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ValueError, OSError, ZoneInfoNotFoundError) as error:
                raise ValueError(f"no time zone {value!r}: give an IANA name, such as America/New_York") from error
        return value


class PublicConfig(Section):
    """Prices of a public exchange, and figures of each coin's chain by DefiLlama: neither needs an account."""

    kind: Literal["public"] = "public"

    assets: Items[str] = Field(default=tuple(CHAIN_OF), min_length=1)
    """Coins by their symbols on exchanges. Default: all whose chain DefiLlama knows. A note names those not listed."""

    exchange: str = "coinbaseexchange"
    """The exchange, by ccxt's name."""

    quote: str = "USD"
    """The currency of prices, such as USD or USDT."""

    bars: Length = "days"
    """UTC days, or the length of intraday bars."""

    metrics: Items[Literal["tvl", "fees", "volumes", "stablecoins"]] = ("tvl", "fees", "volumes", "stablecoins")
    """Figures of a coin's chain by day, in dollars: value locked, fees, volume of exchanges on it, stablecoins. A coin
    whose chain lacks one gives no examples; an empty list: prices alone."""

    start: Date = dt.date(2021, 1, 1)
    """The first day."""

    end: Date | None = None
    """The day after the last one. Default: the current date, so that all complete days are included."""

    @field_validator("assets")
    @classmethod
    def _named_once(cls, assets: tuple[str, ...]) -> tuple[str, ...]:
        if twice := next((asset for asset in assets if assets.count(asset) > 1), None):
            raise ValueError(f"{twice} is named twice: name each asset once")
        return assets


class FlipsideConfig(Section):
    """Daily prices and chain metrics queried from Flipside."""

    kind: Literal["flipside"] = "flipside"

    chains: Items[Literal["near", "ethereum", "solana"]] = Field(default=("near",), min_length=1)
    """Chains to query, by Flipside's names."""

    start: Date = dt.date(2022, 1, 1)
    """The first day to query."""

    end: Date | None = None
    """The day after the last one to query. Default: the current date, so that all complete days are included."""

    tokens: bool = False
    """Query the chains' best-known tokens, too: over 30 assets of three chains. A token has its chain's metrics."""

    metrics: Items[Literal["active", "transactions", "fees", "swaps"]] = ("active", "transactions", "fees")
    """Chain metrics by day: active accounts, transactions, fees, and dollars swapped; an empty list: none."""

    warehouse: Annotated[SimulatorConfig | FilesConfig, Field(discriminator="kind")] | None = None
    """A local warehouse in place of the service, for rehearsals: it speaks Flipside's protocol and SQL, and is filled
    by this source. No key is needed, and the dataset says where its rows came from."""

    at_once: int = Field(default=4, ge=1, le=32)
    """Pages that are asked for at the same time."""

    requests_a_minute: int = Field(default=300, ge=1, le=6000)
    """The most requests for pages in a minute, spread evenly."""

    without_key: PublicConfig | None = None
    """The source to take where no key is set; the checks before a launch, the log and the dataset say that it was."""


class DuneConfig(Section):
    """Rows of a query that is saved at Dune: a row a symbol and day, with its prices and any metrics."""

    kind: Literal["dune"] = "dune"

    query: int = Field(ge=1)
    """The query's number there. Its columns are symbol, date, open, high, low, close and the metrics; its text
    parameters are `start` and `end`, the day after the last; its rows are sorted by symbol and date."""

    metrics: Items[str] = ()
    """Further columns of numbers to use as metrics."""

    start: Date = dt.date(2021, 1, 1)
    """The first day."""

    end: Date | None = None
    """The day after the last one. Default: the current date, so that all complete days are included."""


class EcbConfig(Section):
    """Reference rates of the European Central Bank, one fixing a working day since 1999, as currency pairs."""

    kind: Literal["ecb"] = "ecb"

    pairs: Items[str] = Field(default=MAJORS, min_length=1)
    """Pairs such as `EUR/USD`: units of the second currency for one of the first. Without the euro it is a cross."""

    start: Date | None = None
    """The first day. Default: the first of each pair, 1999-01-04 at the earliest."""

    end: Date | None = None
    """The last day. Default: the last of each pair."""

    signal: dict[Metric, float] | None = None
    """Plants a signal: the sizes of moves and the calendar stay real, and directions are drawn anew with these log-odds
    for each level of a made-up metric. Default: real rates."""

    @field_validator("pairs", mode="before")
    @classmethod
    def _one_pair(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("pairs")
    @classmethod
    def _readable_pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        named = tuple("/".join(read_pair(pair)) for pair in value)
        if twice := next((pair for pair in named if named.count(pair) > 1), None):
            raise ValueError(f"{twice} is named twice: name each pair once")
        return named


def _or_several(schema: dict[str, Any]) -> None:
    """Let editors accept a list of numbers where a single one is read."""
    schema["anyOf"].append({"type": "array", "items": {"type": "integer"}, "minItems": 1})


class DataConfig(Section):
    """The way from a source to examples: the days of decisions, the data known then, and the question asked."""

    source: Annotated[
        SimulatorConfig | FilesConfig | FlipsideConfig | PublicConfig | DuneConfig | EcbConfig,
        Field(discriminator="kind"),
    ] = SimulatorConfig()
    """The source of the tables."""

    horizon_days: int | None = Field(default=None, ge=1, le=365, json_schema_extra=_or_several)
    """Days after the decision over which the return is forecast. Default: 1, where `horizon_bars` is not set. A list,
    such as [1, 7], stands for a domain for each horizon."""

    horizon_bars: int | None = Field(default=None, ge=1, le=10_000, json_schema_extra=_or_several)
    """In place of `horizon_days`: bars of the symbol's own history, so that weekends and holidays do not count."""

    every_days: int | None = Field(default=None, ge=1)
    """Days between decisions, counted from 1970-01-01. Default: the horizon, so that no outcomes overlap."""

    every_bars: int | None = Field(default=None, ge=1)
    """In place of `every_days`: bars between decisions, counted from a symbol's first."""

    onchain_lag_days: int = Field(default=1, ge=0, le=30)
    """A metric is known only this many days after the close of its bar."""

    window_days: int | None = Field(default=None, ge=5, le=1000)
    """The trailing window, in daily bars, against which features are standardised. Default: 90."""

    window_bars: int | None = Field(default=None, ge=5, le=10_000)
    """The same for bars that are not UTC days. Default: 90."""

    train_fraction: float = Field(default=0.6, gt=0, lt=1)
    """Share of the examples, the earliest, for training."""

    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    """Share of the examples that follow, for choices during training. The rest, the latest, is the test split."""

    embargo_days: int | None = Field(default=None, ge=0)
    """Days without examples after the start of the validation and the test split. Default: the horizon."""

    embargo_bars: int | None = Field(default=None, ge=0)
    """In place of `embargo_days`: bars of each symbol."""

    trading: Trading | None = None
    """Terms on which the evaluation acts on the forecasts, on paper. Default: those usual for the source."""

    @field_validator("source", mode="before")
    @classmethod
    def _require_kind(cls, source: object) -> object:
        if isinstance(source, dict) and "kind" not in source:
            raise ValueError(
                "give its `kind`, which says where tables come from: simulator, files, flipside, public, dune or ecb"
            )
        return source

    @property
    def bar(self) -> Bar:
        """The kind of the source's bars."""
        if isinstance(self.source, EcbConfig):
            return FIXING
        return bar_of(self.source.bars) if isinstance(self.source, FilesConfig | PublicConfig) else DAY

    @property
    def news(self) -> NewsConfig | None:
        """The dated texts that prompts show."""
        return self.source.news if isinstance(self.source, FilesConfig) else None

    @property
    def simulated(self) -> bool:
        """True where the data are made up, wholly or in part."""
        source = self.source
        if isinstance(source, FlipsideConfig):
            return isinstance(source.warehouse, SimulatorConfig)
        return isinstance(source, SimulatorConfig) or (isinstance(source, EcbConfig) and source.signal is not None)

    @property
    def horizon(self) -> Span:
        """`horizon_days` or `horizon_bars`, or the default of a day."""
        return _span(self.horizon_days, self.horizon_bars) or Span(1, "days")

    @property
    def step(self) -> Span:
        """`every_days` or `every_bars`, or the horizon."""
        return _span(self.every_days, self.every_bars) or self.horizon

    @property
    def embargo(self) -> Span:
        """`embargo_days` or `embargo_bars`, or the horizon."""
        return _span(self.embargo_days, self.embargo_bars) or self.horizon

    @property
    def window(self) -> int:
        """`window_days` or `window_bars`, or their default, in bars."""
        return self.window_days or self.window_bars or 90

    @model_validator(mode="after")
    def _says_days_or_bars(self) -> "DataConfig":
        for name in ("horizon", "every", "embargo"):
            days, bars = getattr(self, f"{name}_days"), getattr(self, f"{name}_bars")
            if days is not None and bars is not None:
                raise ValueError(f"{name}_days {days} and {name}_bars {bars} exclude one another: set one to null")
        if self.bar == DAY and self.window_bars is not None:
            raise ValueError(f"window_bars {self.window_bars}: these bars are UTC days: set window_days")
        if self.bar != DAY and self.window_days is not None:
            raise ValueError(f"window_days {self.window_days}: these bars are no UTC days: set window_bars")
        in_bars = (self.horizon, self.step, self.embargo)
        moved = self.source.warehouse if isinstance(self.source, FlipsideConfig) else self.source
        if isinstance(moved, SimulatorConfig) and any(span.unit == "bars" for span in in_bars):
            raise ValueError("a simulated market moves by days: set horizon_days, every_days and embargo_days")
        if isinstance(self.source, EcbConfig) and self.source.signal and self.horizon != Span(1, "bars"):
            raise ValueError("a planted signal moves the next fixing: set horizon_bars: 1")
        return self

    @model_validator(mode="after")
    def _keeps_its_bars_without_a_key(self) -> "DataConfig":
        if isinstance(self.source, FlipsideConfig) and self.source.without_key is not None:
            if self.source.without_key.bars != "days":
                raise ValueError("without_key.bars: Flipside's bars are days, and so must be those taken in its place")
            if self.source.warehouse is not None:
                raise ValueError("without_key and warehouse exclude one another: a warehouse needs no key")
        return self

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> "DataConfig":
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError(
                f"train_fraction {self.train_fraction} + validation_fraction {self.validation_fraction} "
                "leave nothing for the test split: let them sum to less than 1"
            )
        return self


def _span(days: int | None, bars: int | None) -> Span | None:
    if days is not None:
        return Span(days, "days")
    return None if bars is None else Span(bars, "bars")

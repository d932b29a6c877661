"""The data of a market's profile: its source, the question asked, and the split by time."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from cortex.section import Date, Items, Section, UserPath

CHAINS = (
    "NEAR", "ETH", "BTC", "SOL", "AVAX", "ATOM", "DOT", "ADA", "APT", "SUI", "TIA", "INJ",
    "ARB", "OP", "SEI", "ALGO", "XLM", "TRX", "LTC", "BCH", "FIL", "ICP", "HBAR", "TON",
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


class FilesConfig(Section):
    """Parquet or CSV files of OHLC prices, with on-chain metrics beside them or in files of their own."""

    kind: Literal["files"] = "files"

    paths: Items[UserPath] = Field(min_length=1)
    """Files, or folders whose `.parquet` and `.csv` files are read."""

    symbols: Items[str] | None = None
    """Symbols to keep. Default: all."""

    metrics: Items[str] | None = None
    """Extra numeric columns to use as on-chain metrics. Default: all; an empty list: none."""

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value


class FlipsideConfig(Section):
    """Daily prices and chain metrics queried from Flipside."""

    kind: Literal["flipside"] = "flipside"

    chains: Items[Literal["near", "ethereum", "solana"]] = Field(default=("near",), min_length=1)
    """Chains to query, by Flipside's names."""

    start: Date = dt.date(2022, 1, 1)
    """The first day to query."""

    end: Date | None = None
    """The day after the last one to query. Default: the current date, so that all complete days are included."""


class DataConfig(Section):
    """The way from a source to examples: the days of decisions, the data known then, and the question asked."""

    source: Annotated[SimulatorConfig | FilesConfig | FlipsideConfig, Field(discriminator="kind")] = SimulatorConfig()
    """The source of the tables."""

    horizon_days: int = Field(default=1, ge=1, le=365)
    """Days after the decision over which the return is forecast."""

    every_days: int | None = Field(default=None, ge=1)
    """Days between decisions, counted from 1970-01-01. Default: `horizon_days`, so that no outcomes overlap."""

    onchain_lag_days: int = Field(default=1, ge=0, le=30)
    """A day's on-chain metric is known only this many days after that day's close."""

    window_days: int = Field(default=90, ge=5, le=1000)
    """The trailing window, in daily bars, against which features are standardised."""

    train_fraction: float = Field(default=0.6, gt=0, lt=1)
    """Share of the examples, the earliest, for training."""

    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    """Share of the examples that follow, for choices during training. The rest, the latest, is the test split."""

    embargo_days: int | None = Field(default=None, ge=0)
    """Days without examples after the start of the validation and the test split. Default: `horizon_days`."""

    @field_validator("source", mode="before")
    @classmethod
    def _require_kind(cls, source: object) -> object:
        if isinstance(source, dict) and "kind" not in source:
            raise ValueError("give its `kind`, which says where the tables come from: simulator, files or flipside")
        return source

    @property
    def decision_step_days(self) -> int:
        """`every_days`, or its default."""
        return self.every_days or self.horizon_days

    @property
    def embargo(self) -> int:
        """`embargo_days`, or its default."""
        return self.horizon_days if self.embargo_days is None else self.embargo_days

    @model_validator(mode="after")
    def _leaves_a_test_split(self) -> "DataConfig":
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError(
                f"train_fraction {self.train_fraction} + validation_fraction {self.validation_fraction} "
                "leave nothing for the test split: let them sum to less than 1"
            )
        return self

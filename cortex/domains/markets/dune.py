"""Dune as a source: the rows of a saved query, pulled by Dune's own client and kept on this machine."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import SecretStr

from cortex.domains.domain import OnProgress, Workspace, ignore_progress
from cortex.domains.markets.checks import check_metrics, check_order, check_prices
from cortex.domains.markets.closing import day_closed
from cortex.domains.markets.config import DuneConfig
from cortex.domains.markets.live.client_import import import_client
from cortex.domains.markets.live.pull import Pulled, Puller
from cortex.domains.markets.live.statement import Statement
from cortex.domains.markets.source import PRICE_SCHEMA, MarketTables, Pieces, one_piece
from cortex.errors import DataError


@dataclass(frozen=True)
class DuneSource:
    """A `Source` that runs a saved query of Dune's."""

    config: DuneConfig
    api_key: SecretStr
    folder: Path
    """The folder of pulls: an answer that is there is not asked for again."""
    today: dt.date
    """The current date in UTC."""
    fresh: bool = False
    """Ask anew for what is kept."""
    url: str | None = None
    """The address in place of the service's own."""
    pulls: list[Pulled] = field(default_factory=list[Pulled], compare=False)
    """Pulls of the last load."""

    def load(self) -> MarketTables:
        """Prices, and the metrics that the profile names. Raises ConfigError without the client, DataError."""
        return self._load(ignore_progress)

    def pieces(self, workspace: Workspace) -> Pieces:
        return one_piece(self._load(workspace.on_progress))

    def describe(self) -> dict[str, object]:
        """After a load, with the hash of the pull."""
        return {
            "name": "dune",
            "made_by": f"query {self.config.query} of dune",
            **self.config.model_dump(mode="json", exclude={"kind"}),
            "pulls": {pulled.folder.name: pulled.digest for pulled in self.pulls},
        }

    def _load(self, on_progress: OnProgress) -> MarketTables:
        span = {"start": str(self.config.start), "end": str(self.config.end or self.today)}
        prices = [name for name in PRICE_SCHEMA if name not in ("symbol", "time")]
        columns = {"symbol": pl.String(), "date": pl.String()}
        columns |= dict.fromkeys([*prices, *self.config.metrics], pl.Float64())
        statement = Statement("dune", f"query {self.config.query} {span}", columns)
        made: Any = import_client("cortex.domains.markets.live.dune_pages").DunePages
        poll = {} if self.url is None else {"poll_seconds": 0.02}
        client = made(self.api_key.get_secret_value(), self.config.query, span, self.url, **poll)
        self.pulls[:] = [Puller(client, "dune", self.folder, on_progress=on_progress).pull(statement, self.fresh)]
        rows = self.pulls[0].table()
        if rows.is_empty():
            raise DataError(f"dune's query {self.config.query} has no rows from {self.config.start} on: check it there")
        table = rows.with_columns(pl.col("date").str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).alias("day"))
        unread = table.filter(pl.col("day").is_null())
        if unread.height:
            raise DataError(f"dune's query {self.config.query}: the date {unread['date'][0]!r} is no YYYY-MM-DD")
        table = table.sort("symbol", "day", maintain_order=True)
        check_order(table.with_columns(time=pl.col("day").cast(pl.Datetime("us"))), "dune")
        check_prices(table, "dune")
        check_metrics(table, self.config.metrics, "dune")
        timed = table.with_columns(day_closed("day").alias("time"))
        onchain = timed.select("symbol", "time", *self.config.metrics) if self.config.metrics else None
        return MarketTables(timed.select(*PRICE_SCHEMA), onchain)

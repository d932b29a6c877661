"""Forecasts as a service: a market's prompt from features, or from a symbol and a date; its answer in parts."""

import datetime as dt
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import polars as pl
from pydantic import ConfigDict, Field, model_validator

from cortex.domains.domain import Domain
from cortex.domains.endpoint import Endpoint, Reading
from cortex.domains.markets.account import quoted, shortened
from cortex.domains.markets.closing import bar_id
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.features import Feature, build_features
from cortex.domains.markets.market_view import (
    ADVICE,
    forecast_facts,
    forecast_shares,
    market_form,
    price_chart,
    training_remarks,
)
from cortex.domains.markets.news import NEWS, news_of
from cortex.domains.markets.protocol import ProtocolError, parse_answer, render_prompts
from cortex.domains.markets.sources import open_source
from cortex.domains.question import AskedQuestion, Message, Question
from cortex.domains.view import FormField, Judged, View
from cortex.errors import CortexError, DataError
from cortex.section import Section, nearest
from cortex.settings import Settings

_NUMBER = r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?"
PATTERN = (
    r"(<think>)?[^<]+</think><answer>\{"
    r'"p_up":(0(\.[0-4][0-9]{0,3})?,"direction":"down"|(0\.[5-9][0-9]{0,3}|1),"direction":"up"),'
    rf'"return_pct":{_NUMBER},"interval_pct":\[{_NUMBER},{_NUMBER}\]\}}</answer>'
)
"""Replies in the form of `protocol.render_answer`, with a direction that follows from the probability. Some chat
templates write the opening tag into the prompt."""


class MarketRequest(Section):
    """A request for a forecast: with features, or with a date to take them from the configured source."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["date"]}, {"required": ["features"]}]})

    symbol: str = Field(min_length=1, max_length=40)
    """The asset's symbol, as in the data."""
    date: str | None = Field(default=None, max_length=32)
    """The bar at whose close to decide: its day as YYYY-MM-DD; where bars are no days, its closing time as
    YYYY-MM-DDTHH:MM:SSZ, or the day of that where no other bar closes on it, as of a fixing."""
    features: dict[str, float] | None = Field(default=None, max_length=1000)
    """Values of all features by name, in the units of the training data: standard deviations or percent."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.date is None) == (self.features is None):
            raise ValueError("give either a date or features")
        return self


class _Loaded(NamedTuple):
    """Data of the configured source, sorted by symbol and time, with `bar`, the name of each bar in ids."""

    features: pl.DataFrame
    """Of all bars that have all features."""
    closes: pl.DataFrame


class MarketEndpoint(Endpoint):
    """Endpoint of the domain markets."""

    request: ClassVar[type[Section]] = MarketRequest
    alias: ClassVar[str | None] = "forecast"
    pattern: str | None = PATTERN

    def __init__(
        self,
        domain: Domain,
        config: DataConfig,
        style: Style,
        dataset: Mapping[str, Any],
        seed: int,
        settings: Settings,
    ) -> None:
        """`dataset` describes the data that the model was trained on; `seed` is that of a simulated source."""
        super().__init__(domain)
        self._config = config
        self._style: Style = style
        self._features = [Feature(item["name"], item["label"], item["unit"]) for item in dataset["features"]]
        self._symbols: list[str] = dataset.get("symbol_names") or []
        self._source = partial(open_source, config, seed=seed, settings=settings)
        self._splits: Mapping[str, Any] = dataset.get("splits", {})
        self._loaded: _Loaded | None = None
        self._loading = threading.Lock()

    def question(self, request: Section) -> Question:
        assert isinstance(request, MarketRequest)
        self._check_symbol(request.symbol, self._symbols)
        if request.features is not None:
            row, name = pl.DataFrame([{"symbol": request.symbol, **self._checked(request.features)}]), request.symbol
        else:
            row = self._row(request.symbol, str(request.date))
            name = f"{request.symbol}-{row['bar'][0]}"
        prompt = render_prompts(row, self._features, self._config, self._style)[0]
        values = row.select("symbol", *(feature.name for feature in self._features)).row(0, named=True)
        at = row["time"][0] if request.features is None else None
        return AskedQuestion(name, (Message("user", prompt),), values, at)

    def read(self, reply: str) -> Reading:
        try:
            answer = parse_answer(reply)
        except ProtocolError as error:
            raise DataError(f"the reply is no forecast: {error}") from error
        return Reading(
            {
                "p_up": answer.p_up,
                "direction": answer.direction,
                "return_pct": answer.return_pct,
                "interval_pct": [answer.low_pct, answer.high_pct],
            },
            answer.reasoning,
            self.domain.uncertainty({"p_up": answer.p_up}, self.record),
        )

    def form(self) -> tuple[FormField, ...]:
        try:
            known = self._load().features
        except CortexError as error:  # requests with features need no source
            return market_form(self._config.bar, {}, f"the source cannot be used here: {error}")
        spans = known.group_by("symbol").agg(pl.col("bar").first(), pl.col("bar").last().alias("last")).sort("symbol")
        return market_form(self._config.bar, {name: (first, last) for name, first, last in spans.iter_rows()}, "")

    def view(self, request: Section, reading: Reading | None, judged: Judged) -> View:
        assert isinstance(request, MarketRequest)
        horizon, bar = self._config.horizon, self._config.bar
        answer: Mapping[str, Any] = reading.answer if reading else {}
        chart, remarks = None, judged.remarks()
        if request.date is not None:
            decided: dt.datetime = self._row(request.symbol, request.date)["time"][0]
            bars = self._load().closes.filter(pl.col("symbol") == request.symbol, pl.col("time") <= decided)
            chart = price_chart(bars, request.symbol, horizon, bar, reading)
            remarks += training_remarks(decided, self._splits)
        return View(
            facts=forecast_facts(answer, horizon.words(bar)) if answer else (),
            chart=chart,
            remarks=(*remarks, ADVICE),
            shares=forecast_shares(judged, answer.get("p_up")),
        )

    def _checked(self, given: Mapping[str, float]) -> dict[str, float]:
        wanted = [feature.name for feature in self._features]
        missing = [name for name in wanted if name not in given]
        unknown = [name for name in given if name not in wanted]
        if missing or unknown:
            raise DataError(
                f"features: {f'missing {shortened(missing)}' if missing else f'unknown {shortened(unknown)}'}; "
                f"the model was trained on {shortened(wanted, 40)}"
            )
        return {name: float(given[name]) for name in wanted}

    def _row(self, symbol: str, date: str) -> pl.DataFrame:
        """The features of one bar, as a table of one row."""
        known = self._load().features
        rows = known.filter(pl.col("symbol") == symbol)
        if rows.is_empty():
            self._check_symbol(symbol, known["symbol"].unique().sort().to_list())
        row = rows.filter(pl.col("bar") == date)
        on_day = rows.filter(pl.col("bar").str.starts_with(f"{date}T")) if row.is_empty() else row
        row = on_day if len(on_day) == 1 else row
        if row.is_empty():
            raise DataError(
                f"date: the data have no features of {symbol} for {quoted(date)}: they go from {rows['bar'][0]} to "
                f"{rows['bar'][-1]}"
            )
        return row

    def _load(self) -> "_Loaded":
        """The source's bars, and the features of those that have all of them; loaded once."""
        with self._loading:
            if self._loaded is None:
                tables = self._source().load()
                frame, features = build_features(tables, self._config)
                if features != self._features:
                    names = shortened([feature.name for feature in features], 40)
                    raise DataError(f"the source gives the features {names}, and the model was trained on others")
                complete = frame.drop_nulls([feature.name for feature in features]).sort("symbol", "time")
                if tables.news is not None and self._config.news is not None:
                    texts = news_of(complete, tables.news, self._config.news)
                    complete = complete.with_columns(texts.alias(NEWS))
                name = bar_id(self._config.bar).alias("bar")
                closes = tables.prices.select("symbol", "time", "close").with_columns(name)
                self._loaded = _Loaded(complete.with_columns(name), closes)
            return self._loaded

    def _check_symbol(self, symbol: str, known: list[str]) -> None:
        if known and symbol not in known:
            raise DataError(f"symbol: no {quoted(symbol)}: {nearest(symbol, known)}")

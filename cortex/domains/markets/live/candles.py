"""Candles of a public exchange by ccxt, page after page, with each of its errors as one sentence."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ccxt
import polars as pl

from cortex.domains.markets.bars import Length, duration_of
from cortex.domains.markets.closing import CLOSED
from cortex.domains.markets.live.later import WAITS, LaterError, patiently
from cortex.domains.markets.live.service_clock import check_clock
from cortex.errors import ConfigError, CortexError, DataError
from cortex.section import nearest

CANDLES = {"time": CLOSED, **dict.fromkeys(("open", "high", "low", "close"), pl.Float64())}
PAGE = 300
"""Candles of a page: more than some exchanges give at a time are refused there."""


class CandleClient:
    """One exchange, which is asked without a key."""

    def __init__(self, exchange: str, url: str | None = None, waits: Sequence[float] = WAITS) -> None:
        """`url` takes the place of all of its addresses. Raises ConfigError for a name that ccxt does not know."""
        if exchange not in ccxt.exchanges:
            raise ConfigError(f"exchange: ccxt knows no {exchange!r}: {nearest(exchange, ccxt.exchanges)}")
        self.name, self._waits = exchange, waits
        self._ccxt: Any = getattr(ccxt, exchange)({"enableRateLimit": url is None, "timeout": 30_000})
        self._ccxt.enableLastJsonResponse = self._ccxt.enableLastResponseHeaders = True
        if url is not None:
            self._ccxt.urls["api"] = dict.fromkeys(self._ccxt.urls["api"], url)
        self._markets: Mapping[str, Any] = {}

    def has(self, pair: str) -> bool:
        """True where the exchange lists a pair, such as BTC/USD."""
        if not self._markets:
            self._markets = self._ask("its list of markets", self._ccxt.load_markets)
        return pair in self._markets

    def candles(self, pair: str, bars: Length, start: dt.date, end: dt.date) -> pl.DataFrame:
        """Columns `CANDLES`, a row for each bar that closed up to `end`; `time` is when it closed.

        Bars of hours without trades are missing, as on the exchange. Raises ConfigError where it has no bars of this
        length, DataError where it answers with something else.
        """
        frame = "1d" if bars == "days" else bars
        if frame not in (self._ccxt.timeframes or {}):
            known = sorted(self._ccxt.timeframes or {})
            raise ConfigError(f"{self.name} has no bars of {frame}: it has {', '.join(known)}")
        step = int(duration_of(bars).total_seconds() * 1000)
        since, last = _milliseconds(start), _milliseconds(end)
        rows: dict[int, list[Any]] = {}
        while since < last:
            page = self._ask(f"{pair} from {_day(since)}", partial(self._page, pair, frame, since))
            fresh = [row for row in page if row and row[0] is not None and since <= row[0] and row[0] + step <= last]
            rows |= {row[0]: row[1:5] for row in fresh}
            since = max(max((row[0] for row in fresh), default=0) + step, since + step * (0 if fresh else PAGE))
        try:
            table = pl.DataFrame(
                [(time + step, *map(float, values)) for time, values in sorted(rows.items())],
                schema={"time": pl.Int64, **dict.fromkeys(("open", "high", "low", "close"), pl.Float64)},
                orient="row",
            )
        except (TypeError, ValueError) as error:
            raise DataError(f"{self.name} sent a candle of {pair} without a price: try another exchange") from error
        return table.with_columns(pl.from_epoch("time", "ms").dt.replace_time_zone("UTC").cast(CLOSED))

    def _page(self, pair: str, frame: str, since: int) -> list[list[Any]]:
        """One page. ccxt takes an answer that is no list of candles for an empty one, which would be a silent gap."""
        page = self._ccxt.fetch_ohlcv(pair, frame, since, PAGE)
        check_clock(self._ccxt.last_response_headers or {}, self.name)
        answer = self._ccxt.last_json_response
        if answer is None:
            raise LaterError("an answer that is no JSON, such as a page of a proxy, or half of it")
        if isinstance(answer, list) and (len(answer) != len(page) or not all(isinstance(row, list) for row in answer)):
            raise LaterError("an answer that is no list of candles")
        return page

    def _ask(self, subject: str, call: Any) -> Any:
        try:
            return patiently(lambda: _attempt(call), self._waits)
        except LaterError as error:
            raise DataError(f"{self.name}: {subject}: {error}: try again later; what is here is kept") from error
        except ccxt.PermissionDenied as error:
            raise ConfigError(
                f"{self.name} does not serve this machine's place, or asks for a key ({_words(error)}): "
                "name another exchange"
            ) from error
        except ccxt.BaseError as error:
            raise DataError(f"{self.name}: {subject}: {type(error).__name__}: {_words(error)}") from error


def _attempt(call: Any) -> Any:
    try:
        return call()
    except CortexError:
        raise
    except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
        raise LaterError("too many requests") from error
    except (ccxt.OperationFailed, ccxt.BadResponse, ccxt.NullResponse) as error:
        if _is_barred(error):
            raise ccxt.PermissionDenied(str(error)) from error
        raise LaterError(f"{type(error).__name__}: {_words(error)}") from error
    except ccxt.BaseError:
        raise
    except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
        raise LaterError(f"an answer in another form than ccxt knows ({type(error).__name__})") from error


def _is_barred(error: Exception) -> bool:
    """True for 451 and its like, which exchanges answer to machines in some countries."""
    text = str(error).lower()
    return " 451 " in text or "restricted location" in text


def _words(error: Exception) -> str:
    text = " ".join(re.sub(r"https?://\S+", "", str(error)).split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def _milliseconds(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp() * 1000)


def _day(milliseconds: int) -> dt.date:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).date()

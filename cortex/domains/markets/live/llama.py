"""DefiLlama's SDK: series of a chain by day, with each of its errors as one sentence.

A value of a day is known when the day is over: fees and volumes are its sums, and TVL and stablecoins, which are of its
beginning, are taken as known no earlier. Days whose value is still open are not taken.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import defillama_sdk.client
import polars as pl
import requests
from defillama_sdk import ApiError, DefiLlama, DefiLlamaError, NotFoundError, RateLimitError

from cortex.domains.markets.account import quoted
from cortex.domains.markets.live.later import WAITS, LaterError, patiently
from cortex.errors import DataError

SERIES = {"date": pl.Date(), "value": pl.Float64()}
Point = tuple[Any, Any]
"""Seconds since 1970, and a value."""


class LlamaClient:
    """Series of DefiLlama, which needs no key."""

    def __init__(self, url: str | None = None, waits: Sequence[float] = WAITS) -> None:
        """`url` takes the place of all of its addresses."""
        if url is not None:
            defillama_sdk.client.BASE_URLS.update(dict.fromkeys(("main", "stablecoins"), url))
        self._sdk, self._waits = DefiLlama(), waits
        self._calls: dict[str, tuple[Callable[[str], Any], Callable[[Any], list[Point]]]] = {
            "tvl": (self._sdk.tvl.getHistoricalChainTvl, lambda found: [(row["date"], row["tvl"]) for row in found]),
            "fees": (self._sdk.fees.getOverviewByChain, lambda found: _chart(found["totalDataChart"])),
            "volumes": (self._sdk.volumes.getDexOverviewByChain, lambda found: _chart(found["totalDataChart"])),
            "stablecoins": (self._sdk.stablecoins.getChartsByChain, _dollars),
        }

    def series(self, metric: str, chain: str, start: dt.date, end: dt.date) -> pl.DataFrame:
        """Columns `SERIES`, a row a day from `start` up to before `end`; no rows where DefiLlama does not have it.

        Raises DataError where it answers with something else, or not at all.
        """
        call, read = self._calls[metric]
        place = f"defillama's {metric} of {chain}"
        try:
            answer = patiently(lambda: _attempt(call, chain), self._waits)
        except LaterError as error:
            raise DataError(f"{place}: {error}: try again later; what is here is kept") from error
        if answer == []:
            return pl.DataFrame(schema=SERIES)
        try:
            points = [(_day(stamp), None if value is None else float(value)) for stamp, value in read(answer)]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
            raise DataError(
                f"{place}: {quoted(answer)} is not in the form that its SDK knows: the service may have changed"
            ) from error
        table = pl.DataFrame(points, schema=SERIES, orient="row")
        chosen = table.filter((pl.col("date") >= start) & (pl.col("date") < end))
        return chosen.unique("date", keep="first", maintain_order=True).sort("date")


def _attempt(call: Callable[[str], Any], chain: str) -> Any:
    """One answer; an empty one where there is no such chain. Raises LaterError or DataError."""
    try:
        answer = call(chain)
    except NotFoundError:
        return []
    except RateLimitError as error:
        raise LaterError("too many requests (429)", error.retry_after) from error
    except ApiError as error:
        if error.status_code == 400:
            return []
        if error.status_code >= 500:
            raise LaterError(f"its server answers {error.status_code}") from error
        raise DataError(f"defillama refuses the request with {error.status_code}: {quoted(error.response)}") from error
    except requests.exceptions.JSONDecodeError as error:
        raise LaterError("an answer that is no JSON, such as a page of a proxy, or half of it") from error
    except (requests.RequestException, DefiLlamaError) as error:
        raise LaterError(f"it cannot be reached ({type(error).__name__}): check the network") from error
    if answer is None:
        raise LaterError("null in place of an answer")
    return answer


def _day(stamp: Any) -> dt.date:
    return dt.datetime.fromtimestamp(int(stamp), dt.UTC).date()


def _chart(points: Sequence[Sequence[Any]]) -> list[Point]:
    return [(stamp, value) for stamp, value in points]


def _dollars(rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    return [(row["date"], sum(float(value) for value in row["totalCirculatingUSD"].values())) for row in rows]

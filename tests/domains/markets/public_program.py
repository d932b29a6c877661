"""Scenarios of ccxt and DefiLlama's SDK against a local server, in the data image's environment; prints JSON."""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loguru import logger

from cortex.domains.markets.config import DataConfig, FlipsideConfig, PublicConfig
from cortex.domains.markets.live.kept import Kept
from cortex.domains.markets.public import PublicSource
from cortex.domains.markets.sources import open_source
from cortex.errors import CortexError
from cortex.settings import Settings
from tests.domains.markets.public_server import Services, serving_public
from tests.domains.markets.reply_server import Reply

TODAY = dt.date(2023, 12, 1)
FAULTS = {
    "html": Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
    "null": Reply(200, b"null"),
    "half": Reply(200, b'[{"date": 1640995200, "tv'),
    "other form": Reply(200, b'{"message": "moved"}'),
    "no number": Reply(200, b'[{"date": 1640995200, "tvl": "many"}]'),
    "clock": Reply(200, b"[]", {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}),
    "barred": Reply(451, b'{"message": "Service unavailable from a restricted location"}'),
    "too many": Reply(429, b"{}", {"Retry-After": "0"}),
    "broken": Reply(502, b"bad gateway"),
    "long wait": Reply(429, b"{}", {"Retry-After": "3600"}),
}  # fmt: skip


def source(services: Services, folder: Path, fresh: bool = False, **more: Any) -> PublicSource:
    config = PublicConfig.model_validate({"assets": ["BTC", "NEAR"], "start": dt.date(2022, 1, 1), **more})
    addresses = {"exchange": services.url, "llama": services.url}
    return PublicSource(config, Kept(folder, fresh), TODAY, addresses, waits=(0.01,) * 5)


def tell(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except CortexError as error:
        return {"error": str(error), "code": error.exit_code}


def days_of_prices_and_metrics(services: Services, folder: Path) -> Any:
    first = source(services, folder)
    tables = first.load()
    requests = sum(services.requests.values())
    again = source(services, folder)
    same = again.load()
    near = tables.prices.filter(symbol="NEAR")
    assert tables.onchain is not None and tables.account is not None
    of_near = tables.onchain.filter(symbol="NEAR")
    return {
        "rows": near.height,
        "first": near.row(0),
        "last": near["time"].max(),
        "tvl": of_near["tvl"][1],
        "stablecoins": of_near["stablecoins"][1],
        "metric days": of_near.height,
        "pages": services.requests["/products/NEAR-USD/candles"],
        "second": sum(services.requests.values()) - requests,
        "equal": same.prices.equals(tables.prices) and again.describe() == first.describe(),
        "made by": first.describe()["made_by"],
        "series": len(first.kept.digests),
    }


def intraday_bars_keep_daily_metrics(services: Services, folder: Path) -> Any:
    services.days = 40
    made = source(services, folder, bars="1h", metrics=["tvl"], assets=["ETH"], end=dt.date(2022, 2, 5))
    tables = made.load()
    refused = tell(lambda: source(services, folder, bars="2h").load())
    return {"rows": tables.prices.height, "first": tables.prices["time"][0], "refused": refused}


def absent_assets_and_metrics_are_said(services: Services, folder: Path) -> Any:
    services.fault = lambda path, count: Reply(404, b"{}") if path == "/overview/fees/Near" else None
    tables = source(services, folder, assets=["NEAR", "DOGE", "BCH"]).load()
    assert tables.account is not None and tables.onchain is not None
    none = tell(lambda: source(services, folder, assets=["DOGE"]).load())
    exchange = tell(lambda: source(services, folder, exchange="coinbaseexchang").load())
    nulls = tables.onchain["fees"].null_count() == tables.onchain.height
    return {"notes": tables.account.notes, "nulls": nulls, "none": none, "exchange": exchange}


def faults_are_one_line_each(services: Services, folder: Path) -> Any:
    found: dict[str, Any] = {}
    for path in ("/products/NEAR-USD/candles", "/v2/historicalChainTvl/Near"):
        for name, reply in FAULTS.items():
            services.requests.clear()
            services.fault = lambda asked, count, reply=reply, path=path: reply if asked == path else None
            place = folder / path.replace("/", "-") / name
            told = tell(lambda place=place: source(services, place, metrics=["tvl"]).load().prices.height)
            kept = len(list(place.glob("*.parquet")))
            tries = services.requests.get(path, 0)
            services.fault = None
            rows = source(services, place, metrics=["tvl"]).load().prices.height
            found[f"{path.split('/')[1]} {name}"] = {"told": told, "kept": kept, "tries": tries, "rows": rows}
    return found


def limits_are_waited_for(services: Services, folder: Path) -> Any:
    services.fault = lambda path, count: FAULTS["too many" if count < 2 else "broken"] if count < 3 else None
    return source(services, folder).load().prices.height


def revisions(services: Services, folder: Path) -> Any:
    source(services, folder).load()
    services.factor = 2.0
    kept = source(services, folder)
    kept.load()
    anew = source(services, folder, fresh=True)
    anew.load()
    replaced = len(list((folder / "replaced").iterdir()))
    return {"kept": kept.kept.revised, "revised": anew.kept.revised, "asked": anew.kept.asked, "replaced": replaced}


def the_choice_without_a_key_is_said(folder: Path) -> Any:
    lines: list[str] = []
    logger.add(lambda message: lines.append(str(message.record["message"])), level="WARNING")
    config = FlipsideConfig(without_key=PublicConfig(assets=("BTC",)))
    chosen = [
        type(
            open_source(DataConfig(source=config), seed=0, settings=Settings(home=folder, flipside_api_key=key))
        ).__name__
        for key in (None, "k")
    ]
    return {"chosen": chosen, "said": lines}


def main() -> None:
    logger.remove()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        for scenario in (
            days_of_prices_and_metrics,
            intraday_bars_keep_daily_metrics,
            absent_assets_and_metrics_are_said,
            faults_are_one_line_each,
            limits_are_waited_for,
            revisions,
        ):
            with serving_public() as services:
                found[scenario.__name__] = scenario(services, Path(work) / scenario.__name__)
        found["choice"] = the_choice_without_a_key_is_said(Path(work))
    json.dump(found, sys.stdout, default=str)


if __name__ == "__main__":
    main()

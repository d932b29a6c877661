"""Scenarios of Flipside's SDK against the local warehouse, for the data image's environment; prints a JSON object.

Each scenario has a warehouse of its own settings, and gives what a user would see: rows, or the error's one line.
"""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from flipside import Flipside
from loguru import logger

from cortex.domains.markets.config import DataConfig, FlipsideConfig, SimulatorConfig
from cortex.domains.markets.flipside import FlipsideSource
from cortex.domains.markets.live import pull
from cortex.domains.markets.live.flipside_client import FlipsideClient
from cortex.domains.markets.live.pull import Puller
from cortex.domains.markets.live.request_pace import Pace
from cortex.domains.markets.live.statement import Statement
from cortex.domains.markets.simulator import Simulator
from cortex.domains.markets.sources import open_source
from cortex.domains.markets.warehouse.filling import PRICES, fill
from cortex.domains.markets.warehouse.rpc_server import Limits, Reply, WarehouseServer, serving
from cortex.domains.markets.warehouse.sql_engine import Engine, QueryFailedError, translate
from cortex.errors import CortexError

DAYS = 30
SIMULATED = SimulatorConfig(chains=33, days=DAYS, start=dt.date(2022, 1, 1))
ROWS = Statement(
    "rows",
    "select symbol, hour, price from crosschain.price.ez_prices_hourly order by hour, symbol",
    {"symbol": pl.String(), "hour": pl.String(), "price": pl.Float64()},
)
BROKEN = {
    "html": Reply(200, b"<html><body>Sign in</body></html>"),
    "null": Reply(200, b"null"),
    "half": Reply(200, b'{"jsonrpc": "2.0", "id": 1, "result": {"queryRu'),
    "no rows": Reply(200, b'{"jsonrpc": "2.0", "id": 1, "result": {"rows": null, "originalQueryRun": 5}}'),
    "revoked": Reply(401, b"{}"),
    "billing": Reply(402, b'{"message": "Payment required"}'),
    "clock": Reply(200, b'{"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "x"}}',
                   {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}),
    "unknown": Reply(200, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -7, "message": "a new\\nkind"}}'),
}  # fmt: skip


def tell(action: Callable[[], Any]) -> Any:
    """The action's result, or its error's line."""
    try:
        return action()
    except CortexError as error:
        return {"error": str(error), "code": error.exit_code}


def puller(server: WarehouseServer, folder: Path, **more: Any) -> Puller:
    client = FlipsideClient(server.limits.key or "k", server.url, poll_seconds=0.01, patience=more.pop("patience", 20))
    return Puller(client, "warehouse", folder, pace=Pace(60_000), **more)


def sdk_as_it_is(server: WarehouseServer, folder: Path) -> Any:
    """The SDK's own query, pages and cancellation, without the kit."""
    del folder
    sdk = Flipside("k", server.url)
    answer = sdk.query("select symbol, count(*) as n from crosschain.price.ez_prices_hourly group by 1 order by 1")
    assert answer.records and answer.page
    second = sdk.get_query_results(str(answer.query_id), page_number=2, page_size=10)
    return {"records": answer.records[:2], "pages": answer.page.totalPages, "second": second.rows[0], "n": second.page}


def parts_are_the_same_with_smaller_pages(server: WarehouseServer, folder: Path) -> Any:
    whole = puller(server, folder / "a").pull(ROWS)
    asked = dict(server.requests)
    server.limits = Limits(page_rows=3000)
    small = puller(server, folder / "b").pull(ROWS)
    again = puller(server, folder / "b").pull(ROWS)
    return {
        "rows": whole.rows,
        "equal": whole.digest == small.digest and whole.table().equals(small.table()),
        "pages": server.requests["getQueryRunResults"] - asked["getQueryRunResults"],
        "kept": [whole.kept, small.kept, again.kept],
        "cost": sorted(whole.cost),
    }


def too_small_pages(server: WarehouseServer, folder: Path) -> Any:
    server.limits = Limits(page_rows=100)
    return tell(lambda: puller(server, folder).pull(ROWS).rows)


def too_many_queries_wait(server: WarehouseServer, folder: Path) -> Any:
    many = Reply(200, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32171, "message": "max concurrent queries"}}')
    server.fault = lambda method, count: many if method == "createQueryRun" and count <= 3 else None
    rows = puller(server, folder).pull(ROWS).rows
    server.fault = lambda method, count: many if method == "createQueryRun" else None
    return {"rows": rows, "never": tell(lambda: puller(server, folder / "b", patience=0.05).pull(ROWS).rows)}


def rate_limit_is_waited_for(server: WarehouseServer, folder: Path) -> Any:
    limited = Reply(429, b"{}", {"Retry-After": "1"})
    server.fault = lambda method, count: limited if method == "getQueryRunResults" and count == 1 else None
    return puller(server, folder).pull(ROWS).rows


def a_revoked_key_keeps_what_is_there(server: WarehouseServer, folder: Path) -> Any:
    server.limits = Limits(page_rows=1250)
    found: dict[str, Any] = {}
    for name, reply in BROKEN.items():
        place = folder / name.replace(" ", "-")
        start = server.requests.get("getQueryRunResults", 0)
        server.fault = lambda method, count, reply=reply, start=start: (
            reply if method == "getQueryRunResults" and count > start + 12 else None
        )
        told = tell(lambda place=place: puller(server, place, at_once=1).pull(ROWS).rows)
        kept = len(list(place.glob("*/part-*.parquet")))
        server.fault = None
        before = server.requests["createQueryRun"]
        rows = puller(server, place).pull(ROWS).rows
        found[name] = {
            "told": told,
            "kept": kept,
            "rows": rows,
            "asked again": server.requests["createQueryRun"] - before,
        }
    return found


def a_forgotten_run_begins_anew(server: WarehouseServer, folder: Path) -> Any:
    server.fault = lambda method, count: BROKEN["half"] if method == "getQueryRunResults" and count > 1 else None
    tell(lambda: puller(server, folder, at_once=1).pull(ROWS))
    kept = len(list(folder.glob("*/part-*.parquet")))
    server.fault, server.limits = None, Limits(result_seconds=0)
    never = tell(lambda: puller(server, folder).pull(ROWS))
    server.engine.change(f"update {PRICES} set price = price * 2 where symbol = 'NEAR'")
    server.limits = Limits()
    pulled = puller(server, folder).pull(ROWS)
    held = Statement("held", ROWS.text.replace("price from", "price / 2 as price from"), ROWS.columns)
    halves = puller(server, folder).pull(held).table()
    near = pulled.table().filter(symbol="NEAR")["price"]
    return {
        "kept": kept,
        "never": never,
        "rows": pulled.rows,
        "all of one run": near.equals(halves.filter(symbol="NEAR")["price"] * 2),
    }


def revisions_are_seen_when_asked_for(server: WarehouseServer, folder: Path) -> Any:
    first = puller(server, folder).pull(ROWS)
    server.engine.change(f"update {PRICES} set price = price * 2 where symbol = 'NEAR' and hour < '2022-01-02'")
    kept = puller(server, folder).pull(ROWS)
    anew = puller(server, folder).pull(ROWS, fresh=True)
    return {
        "kept": kept.kept and kept.digest == first.digest,
        "revised": anew.revised,
        "other": anew.digest != kept.digest,
        "replaced": [place.name.endswith(first.digest[:16]) for place in (folder / "replaced").iterdir()],
        "of old": sum(len(list(place.glob("part-*.parquet"))) for place in (folder / "replaced").iterdir()),
    }


def rows_of(server: WarehouseServer, folder: Path, statement: Statement) -> int:
    return puller(server, folder).pull(statement).rows


def statements_that_fail(server: WarehouseServer, folder: Path) -> Any:
    columns = {"a": pl.Float64()}
    texts = {
        "column": "select nope from near.stats.ez_core_metrics_hourly",
        "write": "delete from a.b.c",
        "two": "select 1; select 2",
    }
    texts["text"] = "select 'x' as a"
    return {
        name: tell(partial(rows_of, server, folder, Statement(name, text, columns))) for name, text in texts.items()
    }


def the_key_and_the_plan_are_checked(server: WarehouseServer, folder: Path) -> Any:
    server.limits = Limits(key="right")
    wrong = tell(lambda: Puller(FlipsideClient("wrong", server.url), "w", folder).pull(ROWS).rows)
    server.limits = Limits(query_seconds=-1.0)
    return {"wrong": wrong, "plan": tell(lambda: puller(server, folder).pull(ROWS).rows)}


SCENARIOS = (
    sdk_as_it_is, parts_are_the_same_with_smaller_pages, too_small_pages, too_many_queries_wait,
    rate_limit_is_waited_for, a_revoked_key_keeps_what_is_there, a_forgotten_run_begins_anew,
    revisions_are_seen_when_asked_for, statements_that_fail, the_key_and_the_plan_are_checked,
)  # fmt: skip


def source_gives_the_bars_of_the_simulator(folder: Path) -> Any:
    """The path of a profile: the source starts its own warehouse."""
    config = FlipsideConfig(
        chains=("near", "ethereum", "solana"), tokens=True, warehouse=SIMULATED, metrics=("active", "fees", "swaps")
    )
    source = open_source(DataConfig(source=config), seed=3, today=dt.date(2023, 1, 1))
    assert isinstance(source, FlipsideSource)
    tables = FlipsideSource(config, None, folder, source.today, source.filling).load()
    made = Simulator(SIMULATED, 1, 1, 90, 3).load()
    # The first simulated symbol is called NEAR in the warehouse.
    first = made.prices["symbol"].unique().sort()[0]
    own, given = made.prices.filter(symbol=first), tables.prices.filter(symbol="NEAR")
    assert tables.onchain is not None and made.onchain is not None
    active = [
        table.filter(symbol=name)["active"].to_list()
        for table, name in ((made.onchain, first), (tables.onchain, "NEAR"))
    ]
    return {
        "assets": tables.prices["symbol"].n_unique(),
        "equal": own.drop("symbol").equals(given.drop("symbol")),
        "active": active[0] == active[1],
        "metrics": tables.metrics,
        "of tokens": tables.onchain.filter(symbol="UNI")["fees"].equals(tables.onchain.filter(symbol="ETH")["fees"]),
    }


def refused_translations() -> dict[str, str]:
    found: dict[str, str] = {}
    for sql in ("select to_char(hour, 'YYYY') from a.b.c", "select from where", ""):
        try:
            found[sql] = translate(sql)
        except QueryFailedError as error:
            found[sql] = str(error)
    return found


def main() -> None:
    logger.remove()
    pull.PART_ROWS = 5000  # parts enough for the scenarios, of few rows
    found: dict[str, Any] = {"refused": refused_translations()}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (folder / "engine").mkdir()
        engine = Engine(folder / "engine")
        fill(engine, Simulator(SIMULATED, 1, 1, 90, 0).load(), simulated=True)
        for scenario in SCENARIOS:
            with serving(engine) as server:
                found[scenario.__name__] = scenario(server, folder / scenario.__name__)
        engine.close()
        found["source"] = source_gives_the_bars_of_the_simulator(folder / "source")
    json.dump(found, sys.stdout, default=str)


if __name__ == "__main__":
    main()

"""Real history, where this machine has it beside the checkout."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.files import FilesSource
from cortex.errors import DataError

from .tables import render_all

ROOT = Path(__file__).resolve().parents[3]
MARKET = ROOT.parent / "shared" / "data" / "market"

pytestmark = pytest.mark.skipif(not MARKET.is_dir(), reason="no real market data beside this checkout")

MEASURE = """
import json, re, sys, time
from pathlib import Path
import polars as pl
from cortex.domains.markets.config import DataConfig, FilesConfig
from cortex.domains.markets.examples import build_examples
from cortex.domains.markets.sources import open_source

def render(table, features, config):
    shown = [pl.format("{} {}", pl.lit(f.label), pl.col(f.name).round(2)) for f in features]
    return table.select(pl.concat_str("symbol", *shown, separator=", ")).to_series()

start = time.perf_counter()
config = DataConfig(source=FilesConfig(paths=(Path(sys.argv[1]),)))
table = build_examples(open_source(config, seed=0).load(), config, render)
# Of this program alone: the operating system's `ru_maxrss` begins with what the process that started it had.
peak_kib = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps([time.perf_counter() - start, peak_kib / 2**20, table.height, table["symbol"].n_unique()]))
"""


def test_a_hundred_coins_become_examples_in_seconds_and_within_a_gibibyte():
    command = [sys.executable, "-c", MEASURE, str(MARKET / "daily_ohlc.parquet")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    seconds, gibibytes, examples, symbols = json.loads(printed)
    assert symbols == 109 and examples > 120_000
    assert seconds < 6, f"took {seconds:.1f} s, wanted about 1"
    assert gibibytes < 1


@pytest.mark.parametrize("horizon", [1, 7])
def test_daily_history_splits_into_honest_examples(horizon: int):
    config = DataConfig(source=FilesConfig(paths=(MARKET / "daily_ohlc.parquet",)), horizon_days=horizon)
    table = build_examples(FilesSource(FilesConfig(paths=(MARKET / "daily_ohlc.parquet",))).load(), config, render_all)
    assert table.drop("oracle_p_up", "oracle_return").null_count().sum_horizontal().item() == 0
    assert 0.4 < (table["outcome"] > 0).to_numpy().mean() < 0.55
    shares = dict(table["split"].value_counts(normalize=True).iter_rows())
    assert shares == pytest.approx({"train": 0.6, "validation": 0.15, "test": 0.25}, abs=0.03)


@pytest.mark.parametrize(("name", "metrics"), [("onchain_btc", 10), ("onchain_eth", 12)])
def test_onchain_history_gives_a_feature_for_each_metric(name: str, metrics: int):
    source = FilesConfig(paths=(MARKET / f"{name}.parquet",))
    table = build_examples(FilesSource(source).load(), DataConfig(source=source), render_all)
    assert len(table.columns) == 9 + 5 + metrics + 2
    warm_up, horizon, embargoes = 119, 1, 2
    assert table.height == 2192 - warm_up - horizon - embargoes
    assert table["symbol"].unique().to_list() == [name.upper()]
    assert table["total_transactions"].is_between(-9, 9).all()


def test_half_hour_bars_become_days_that_are_too_few():
    source = FilesConfig(paths=(MARKET / "perp_30m.parquet",))
    tables = FilesSource(source).load()
    assert tables.prices.height == 30 * 28
    bars = pl.read_parquet(MARKET / "perp_30m.parquet").filter(ticker="BTC", open_time=pl.datetime(2023, 2, 1, 23, 30))
    assert tables.prices.filter(symbol="BTC")["close"][0] == bars["close"][0]
    with pytest.raises(DataError, match="28 daily bars"):
        build_examples(tables, DataConfig(source=source), render_all)

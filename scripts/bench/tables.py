"""Time and memory from a table of daily prices to a dataset, beside the same in pandas.

The table is made from a seed: 2,740 symbols of 3,652 days are 10 million rows. Each program runs in a process of its
own, whose peak memory is its largest resident set. The kit reads the file, checks it, computes features and outcomes,
splits them, writes prompts in prose, and describes the dataset with a manifest. pandas computes the same features,
outcomes, splits and ids, and writes them: `bare` without prompts, `prompts` with texts of the same length. It checks
nothing. With `--share` it gets fewer symbols, and its time is scaled up: prompts in pandas need more memory than most
machines have. A Python that has pandas is named by `--pandas`:

    uv venv /tmp/pandas && uv pip install --python /tmp/pandas/bin/python pandas pyarrow
    python scripts/bench/tables.py --pandas /tmp/pandas/bin/python --share 10
    python scripts/bench/tables.py --symbols 137 --days 1000 --rounds 5    # a small table
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

KIT = """
import sys, time
from pathlib import Path
from cortex.domains.dataset import build_dataset
from cortex.profiles.profile_file import read_section
from cortex.settings import Settings
import polars
section = read_section("markets", {"source": {"kind": "files", "paths": [sys.argv[1]]}})
began = time.perf_counter()
count = build_dataset(section, 0, Settings(), Path(sys.argv[2]))
print(count, time.perf_counter() - began)
"""
PANDAS = """
import sys, time
import numpy as np, pandas as pd
prompts = sys.argv[3] == "prompts"
began = time.perf_counter()
rows = pd.read_parquet(sys.argv[1])
rows["date"] = pd.to_datetime(rows["date"])
rows = rows.sort_values(["symbol", "date"], ignore_index=True)
by = rows.groupby("symbol", sort=False)
rows["log"] = np.log(rows["close"])
rows["step"] = by["log"].diff()

def rolled(column, window, how):
    rolling = rows.groupby("symbol", sort=False)[column].rolling(window)
    return getattr(rolling, how)().reset_index(level=0, drop=True)

def z(column, window=90):
    value = rows[column]
    constant = rolled(column, window, "max") == rolled(column, window, "min")
    return ((value - rolled(column, window, "mean")) / rolled(column, window, "std")).mask(constant, 0.0)

volatility = rolled("step", 30, "std").clip(lower=1e-6)
rows["log_volatility"] = np.log(volatility)
rows["drawdown"] = rows["log"] - np.log(rolled("high", 30, "max"))
rows["mom7"] = by["log"].diff(7) / (volatility * 7**0.5)
rows["mom30"] = by["log"].diff(30) / (volatility * 30**0.5)
rows["vol"], rows["draw"], rows["range"] = z("log_volatility"), z("drawdown"), 100 * volatility
following = rows["date"].groupby(rows["symbol"], sort=False).shift(-1) - rows["date"] == pd.Timedelta(days=1)
rows["outcome"] = (by["close"].shift(-1) / rows["close"] - 1).where(following)
features = ["mom7", "mom30", "vol", "draw", "range"]
rows = rows.dropna(subset=[*features, "outcome"])[["symbol", "date", "outcome", *features]]
rows["at"] = rows["date"] + pd.Timedelta(days=1)
rows = rows.sort_values(["at", "symbol"], ignore_index=True)
first, second = rows["at"].iloc[int(len(rows) * 0.6)], rows["at"].iloc[int(len(rows) * 0.75)]
day = pd.Timedelta(days=1)
rows["split"] = np.select(
    [rows["at"] < first, (rows["at"] >= first + day) & (rows["at"] < second), rows["at"] >= second + day],
    ["train", "validation", "test"], "",
)
rows = rows[rows["split"] != ""]
rows["cluster"] = rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
rows["id"] = rows["symbol"] + "-" + rows["date"].dt.strftime("%Y-%m-%d")
rows["truth"] = rows["outcome"].astype(str)
if prompts:
    text = "x" * 480 + "\\n\\nAsset: " + rows["symbol"] + "\\nHorizon: 1 day\\nKnown at the decision:"
    for name in features:
        text += f"\\n- {name} (a label, standard deviations from its recent mean): " + rows[name].round(2).astype(str)
    rows["messages"] = text
rows.to_parquet(sys.argv[2], compression="zstd")
print(len(rows), time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Figure:
    """One program's run."""

    examples: int
    seconds: float
    gib: float


def make_table(symbols: int, days: int, path: Path, seed: int = 7) -> None:
    """Write daily bars of random walks, symbol by symbol."""
    dice = np.random.default_rng(seed)
    first = dt.date(2015, 1, 1)
    dates = pl.date_range(first, first + dt.timedelta(days=days - 1), eager=True)
    frames: list[pl.DataFrame] = []
    for number in range(symbols):
        close = 100 * np.exp(np.cumsum(dice.normal(0, 0.03, days)))
        opened = np.concatenate([close[:1], close[:-1]])
        beyond = 1 + np.abs(dice.normal(0, 0.01, (2, days)))
        high, low = np.maximum(opened, close) * beyond[0], np.minimum(opened, close) / beyond[1]
        name = pl.repeat(f"A{number:04}", days, eager=True)
        prices = {"open": opened, "high": high, "low": low, "close": close}
        frames.append(pl.DataFrame({"symbol": name, "date": dates, **prices}))
    pl.concat(frames).write_parquet(path)


def measure(python: str, program: str, *arguments: str) -> Figure:
    """Run a program that prints its number of examples and its seconds."""
    process = subprocess.Popen([python, "-c", program, *arguments], stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout
    printed = process.stdout.read().split()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the program ended with {os.waitstatus_to_exitcode(status)}")
    return Figure(int(printed[0]), float(printed[1]), usage.ru_maxrss / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=2740)
    parser.add_argument("--days", type=int, default=3652)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--pandas", metavar="PYTHON", help="a Python that has pandas and pyarrow")
    parser.add_argument("--share", type=int, default=1, help="pandas gets one of so many symbols")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.work) as folder:
        table, less = Path(folder, "prices.parquet"), Path(folder, "less.parquet")
        make_table(asked.symbols, asked.days, table)
        print(f"{asked.symbols * asked.days:,} rows, {table.stat().st_size / 2**20:,.0f} MiB, {os.cpu_count()} cores")
        best: Figure | None = None
        for number in range(asked.rounds):
            figure = measure(sys.executable, KIT, str(table), str(Path(folder, f"dataset-{number}")))
            print(f"kit: {figure.examples:,} examples in {figure.seconds:.2f} s, {figure.gib:.2f} GiB", flush=True)
            best = figure if best is None or figure.seconds < best.seconds else best
        if asked.pandas and best:
            make_table(asked.symbols // asked.share, asked.days, less)
            for form in ("bare", "prompts"):
                figure = measure(asked.pandas, PANDAS, str(less), str(Path(folder, form)), form)
                scaled = figure.seconds * best.examples / figure.examples
                print(
                    f"pandas, {form}: {figure.examples:,} examples in {figure.seconds:.2f} s, {figure.gib:.2f} GiB; "
                    f"for all {scaled:.0f} s, {scaled / best.seconds:.1f} times the kit's",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""Daily bars as a user's CSV holds them."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl


def bars(days: int = 400, symbols: tuple[str, ...] = ("BTC", "ETH")) -> pl.DataFrame:
    """A random walk's bars: symbol, date, open, high, low, close."""
    frames: list[pl.DataFrame] = []
    start = dt.date(2020, 1, 1)
    for number, symbol in enumerate(symbols):
        close = 100 * np.exp(np.cumsum(np.random.default_rng(number).normal(0, 0.03, days)))
        opened = np.concatenate([[100.0], close[:-1]])
        frames.append(
            pl.DataFrame(
                {
                    "symbol": symbol,
                    "date": pl.date_range(start, start + dt.timedelta(days=days - 1), eager=True),
                    "open": opened,
                    "high": np.maximum(opened, close) * 1.01,
                    "low": np.minimum(opened, close) * 0.99,
                    "close": close,
                }
            )
        )
    return pl.concat(frames)


def write_csv(path: Path, frame: pl.DataFrame | None = None) -> Path:
    (bars() if frame is None else frame).write_csv(path)
    return path

"""Closing times: a bar is known by the time at which it closed, since nobody knows it earlier."""

import datetime as dt

import polars as pl

from cortex.domains.markets.bars import DAY, Bar

CLOSED = pl.Datetime("us", "UTC")
"""Type of a closing time."""


def day_closed(date: str = "date") -> pl.Expr:
    """The time at which the UTC day of a date column closed."""
    return pl.col(date).dt.offset_by("1d").cast(CLOSED)


def day_of(time: str = "time") -> pl.Expr:
    """The UTC day in which a bar ended: one that closes at midnight ends the day before."""
    return pl.col(time).dt.offset_by("-1us").dt.date()


def bar_id(bar: Bar, time: str = "time") -> pl.Expr:
    """The text that names a bar of a symbol in ids: the date of a day, and the closing time of any other bar."""
    return day_of(time).cast(pl.String) if bar == DAY else pl.col(time).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def show_bar(closed: dt.datetime) -> str:
    """A bar in a message: the date of one that closes at midnight UTC, and the closing time of any other."""
    if closed.time() == dt.time():
        return str((closed - dt.timedelta(days=1)).date())
    return closed.strftime("%Y-%m-%d %H:%M")

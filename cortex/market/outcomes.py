"""What came of a decision: the return over the horizon, once it is over."""

import polars as pl


def outcomes(prices: pl.DataFrame, horizon_days: int) -> pl.DataFrame:
    """Forward returns: symbol, date, outcome (a fraction), outcome_time (UTC, the close of the horizon's last day).

    `outcome` is close[date + horizon] / close[date] - 1 by the calendar. Where that day has no bar there is no row: a
    return over another span would answer another question.
    """
    later = prices.select("symbol", pl.col("date").dt.offset_by(f"-{horizon_days}d"), pl.col("close").alias("_later"))
    return (
        prices.select("symbol", "date", "close")
        .join(later, on=["symbol", "date"], how="inner", maintain_order="left")
        .select(
            "symbol",
            "date",
            (pl.col("_later") / pl.col("close") - 1).alias("outcome"),
            pl.col("date").dt.offset_by(f"{horizon_days + 1}d").cast(pl.Datetime("us", "UTC")).alias("outcome_time"),
        )
    )

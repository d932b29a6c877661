"""Limits of the time for which a value that is not renewed still counts."""

STALE_DAYS = 7
"""Days for which a metric's last row is used; after a longer gap a price history starts afresh."""

STALE_BARS = 7
"""Rows without a value in which a metric's last value is used: a week of daily ones."""

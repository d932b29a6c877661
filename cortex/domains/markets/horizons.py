"""Several horizons of one market: a section that lists them stands for one section for each."""

from collections.abc import Mapping
from typing import Any, cast

from cortex.domains.markets.spans import Span

HORIZONS = ("horizon_days", "horizon_bars")


def by_horizon(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections of a market's section whose horizon is a list, by names such as `7d`; {} for a single horizon.

    Raises:
        ValueError: the list is empty, names a horizon twice, or holds something else than numbers.
    """
    key = next((name for name in HORIZONS if isinstance(values.get(name), list | tuple)), None)
    if key is None:
        return {}
    listed = list(cast(list[object], values[key]))
    counts = [count for count in listed if isinstance(count, int) and not isinstance(count, bool)]
    if not counts or len(counts) < len(listed):
        raise ValueError(f"{key} {listed}: list whole numbers, such as [1, 7]")
    if twice := next((count for count in counts if counts.count(count) > 1), None):
        raise ValueError(f"{key} names {twice} twice: name each horizon once")
    unit = "days" if key == HORIZONS[0] else "bars"
    return {Span(count, unit).short(): {**values, key: count} for count in sorted(counts)}

"""Domains of one history, such as horizons of one market: no training outcome of any reaches into what is held out.

Each domain's own splits keep its own examples apart. Another horizon's are at other times, so the boundaries of all are
brought together here: outcomes are purged, and the embargo is that of the longest outcome (López de Prado, Advances in
Financial Machine Learning, 2018, ch. 7).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.example_columns import SPLITS
from cortex.errors import DataError

Tables = dict[str, pl.DataFrame]


def purge(domains: Mapping[str, Domain], tables: Mapping[str, pl.DataFrame]) -> tuple[Tables, dict[str, Any]]:
    """The examples of each domain without those that overlap what another of its history holds out.

    Returns the tables, and for each domain that lost examples a key `purged`: their number by split.

    Raises:
        DataError: nothing is left of a domain's split.
    """
    kept = dict(tables)
    together: defaultdict[str, list[str]] = defaultdict(list)
    for name, domain in domains.items():
        history = domain.history()
        if history is not None:
            together[history].append(name)
    for names in together.values():
        if len(names) > 1:
            known = {name: domains[name].outcome_time or "at" for name in names}
            kept |= _apart({name: tables[name] for name in names}, known)
    lost: dict[str, Any] = {}
    for name, table in tables.items():
        before, after = (dict(rows["split"].value_counts().iter_rows()) for rows in (table, kept[name]))
        counts = {split: count - after.get(split, 0) for split, count in sorted(before.items())}
        if any(counts.values()):
            lost[name] = {"purged": counts}
        if gone := [split for split in before if not after.get(split)]:
            others = ", ".join(other for other in tables if other != name)
            raise DataError(
                f"{name}: no {gone[0]} example is clear of the outcomes of {others}: give more history, or shorter "
                "horizons"
            )
    return kept, lost


def _apart(tables: Mapping[str, pl.DataFrame], known: Mapping[str, str]) -> Tables:
    """The tables of one history with common boundaries between the splits. `known` names each one's outcome time."""
    longest = max(_longest(table, known[name]) for name, table in tables.items())
    kept: dict[str, list[pl.DataFrame]] = {name: [] for name in tables}
    ends: list[dt.datetime] = []  # the last outcomes of the splits so far
    for place, split in enumerate(SPLITS):
        later = SPLITS[place + 1 :]
        held_from = min(_first(table, later) for table in tables.values()) if later else None
        clear_from = max(ends) + longest if ends else None
        for name, table in tables.items():
            rows = table.filter(pl.col("split") == split)
            if clear_from is not None:
                rows = rows.filter(pl.col("at") >= clear_from)
            if held_from is not None:
                rows = rows.filter(pl.col(known[name]) <= held_from)
            kept[name].append(rows)
        ends += [cast(dt.datetime, rows[-1][known[name]].max()) for name, rows in kept.items() if rows[-1].height]
    return {
        name: tables[name].join(pl.concat(rows), on="id", how="semi", maintain_order="left")
        for name, rows in kept.items()
    }


def _first(table: pl.DataFrame, splits: tuple[str, ...]) -> dt.datetime:
    return cast(dt.datetime, table.filter(pl.col("split").is_in(splits))["at"].min())


def _longest(table: pl.DataFrame, known: str) -> dt.timedelta:
    """The longest outcome of a domain: the time from an example to the moment when its truth is known."""
    return cast(dt.timedelta, (table[known] - table["at"]).max())

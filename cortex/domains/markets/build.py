"""Building of a market's examples, and of their description, from its history."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import polars as pl

from cortex.domains.domain import Built, BuiltParts, Workspace
from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.contributions import Contributions
from cortex.domains.markets.examples import ask, decide, find_splits
from cortex.domains.markets.features import Feature, build_features
from cortex.domains.markets.gaps import Gaps
from cortex.domains.markets.protocol import render_prompts
from cortex.domains.markets.shelf import Shelf
from cortex.domains.markets.source import Source
from cortex.domains.markets.sources import open_source
from cortex.domains.markets.splits import assign_splits, count_times
from cortex.settings import Settings

NAMED_SYMBOLS = 1000
"""Most symbols whose names a dataset's description lists."""


def build(config: DataConfig, style: Style, seed: int, settings: Settings) -> Built:
    """Build the examples of a market in memory.

    Raises:
        ConfigError: the source needs a key that is not set.
        DataError: the source's tables cannot be used, or are too short for what is asked of them.
    """
    parts = build_parts(config, style, seed, settings, Workspace())
    examples = pl.concat(parts.frames)
    known = parts.description()
    return Built(examples, known.pop("source"), known.pop("simulated"), known.pop("summary"), known)


def build_parts(config: DataConfig, style: Style, seed: int, settings: Settings, workspace: Workspace) -> BuiltParts:
    """Build the examples of a market part by part. Raises as `build`."""
    source = open_source(config, seed=seed, settings=settings)
    return build_from(source, config, style, workspace)


def build_from(source: Source, config: DataConfig, style: Style, workspace: Workspace) -> BuiltParts:
    """Build the examples of a source part by part. Raises DataError as `build`."""
    pieces = source.pieces(workspace)
    gaps, shelf, features = Gaps(config), Shelf(workspace), list[Feature]()
    times: list[pl.DataFrame] = []
    for number, tables in enumerate(pieces.tables):
        workspace.on_progress("features", number, pieces.count)
        frame, features = build_features(tables, config)
        gaps.add(frame)
        decided = decide(tables, frame, features, config)
        times.append(count_times(decided))
        shelf.add(decided)
    counts = pl.concat(times).group_by("time", "outcome_time", "clear_of").agg(pl.col("examples").sum())
    boundaries = find_splits(counts, gaps)
    origins = pieces.origins()
    contributions = None if origins is None else Contributions(config, origins)
    render = partial(render_prompts, style=style)
    symbols: set[str] = set()

    def frames() -> Iterator[pl.DataFrame]:
        for part in shelf.parts():
            split = assign_splits(part, boundaries)
            symbols.update(split["symbol"].unique())
            if contributions:
                contributions.add(split)
            if split.height:
                yield ask(split, features, config, render)

    def description() -> dict[str, Any]:
        account, origin = pieces.account(), source.describe()
        if contributions:
            origin["files"] = contributions.describe(cast(list[dict[str, Any]], origin["files"]))
        return {
            "source": origin,
            "simulated": config.simulated,
            "summary": f"{len(symbols)} symbols, horizon {config.horizon.words(config.bar)}",
            "horizon_days": config.horizon.count if config.horizon.unit == "days" else None,
            "horizon_bars": config.horizon.count if config.horizon.unit == "bars" else None,
            "bar": config.bar.name,
            "style": style,
            "symbols": len(symbols),
            "symbol_names": sorted(symbols) if len(symbols) <= NAMED_SYMBOLS else None,
            "features": [{"name": item.name, "label": item.label, "unit": item.unit} for item in features],
            "account": None if account is None else account.with_notes(gaps.notes()).to_json(),
        }

    return BuiltParts(frames(), description)


def check_source(config: DataConfig, style: Style, settings: Settings) -> None:
    """Check that a source on this machine, such as a user's files, gives examples.

    Raises:
        ConfigError, DataError: it cannot be used.
    """
    source = open_source(config, seed=0, settings=settings)
    with tempfile.TemporaryDirectory(prefix="cortex-") as scratch:
        built = build_from(source, config, style, Workspace(Path(scratch)))
        for _ in built.frames:
            pass  # a file that contributes to no example is found out after the last part
        built.description()

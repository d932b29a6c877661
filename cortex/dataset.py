"""Datasets: examples on disk with a description of them. The data stage and `cortex dataset` write the same files."""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, cast

import polars as pl
from pydantic import ValidationError

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.errors import DataError, UsageError
from cortex.limits import RECORD_BYTES, read_file, read_json
from cortex.market.config import DataConfig, FilesConfig, SimulatorConfig
from cortex.market.examples import build_examples
from cortex.market.features import Feature, build_features
from cortex.market.files import FilesSource
from cortex.market.gaps import name_gaps
from cortex.market.outcomes import is_up
from cortex.market.source import MarketTables, Source
from cortex.reasoning.protocol import Style, render_prompts

EXAMPLES = "examples.parquet"
DESCRIPTION = "dataset.json"


def write_dataset(source: Source, config: DataConfig, style: Style, output: Path) -> pl.DataFrame:
    """Build the examples of a source and write them, with a description, into a folder."""
    tables = source.load()
    examples, frame, features = _build_examples(tables, config, style)
    account = None if tables.account is None else tables.account.with_notes(name_gaps(frame, config))
    try:
        examples.write_parquet(output / EXAMPLES)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{output / EXAMPLES} cannot be written: {error}; free space, then try again") from error
    description = {
        "source": source.describe(),
        "simulated": isinstance(config.source, SimulatorConfig),
        "horizon_days": config.horizon_days,
        "style": style,
        "features": [{"name": item.name, "label": item.label, "unit": item.unit} for item in features],
        "splits": _describe_splits(examples),
        "account": None if account is None else account.to_json(),
    }
    (output / DESCRIPTION).write_text(json.dumps(description, indent=1, default=str) + "\n", encoding="utf-8")
    return examples


def make_examples(source: Source, config: DataConfig, style: Style) -> tuple[pl.DataFrame, list[Feature]]:
    """The examples of a source, and the features that their prompts show.

    Raises:
        DataError: the source's tables cannot be used, or are too short for the settings.
    """
    examples, _, features = _build_examples(source.load(), config, style)
    return examples, features


def _build_examples(
    tables: MarketTables, config: DataConfig, style: Style
) -> tuple[pl.DataFrame, pl.DataFrame, list[Feature]]:
    """The examples, the table of features that they were taken from, and the features that prompts show."""
    frame, features = build_features(tables, config)
    return build_examples(tables, config, partial(render_prompts, style=style)), frame, features


def read_examples(folder: Path) -> pl.DataFrame:
    """The examples of a dataset's folder.

    Raises:
        DataError: the folder holds no dataset.
    """
    path = folder / EXAMPLES
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} is no dataset that `cortex dataset build` wrote: {error}") from error


def read_description(folder: Path) -> dict[str, Any]:
    """A dataset's description, from its `dataset.json`."""
    path = folder / DESCRIPTION
    try:
        found: object = read_json(read_file(path, RECORD_BYTES))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no description that `cortex dataset build` wrote: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} is no description that `cortex dataset build` wrote: it holds no JSON object")
    return cast(dict[str, Any], found)


def take_evenly(frame: pl.DataFrame, count: int) -> pl.DataFrame:
    """At most `count` rows, evenly spaced, in their order."""
    if len(frame) <= count:
        return frame
    return frame[[index * len(frame) // count for index in range(count)]]


def build_dataset(data: Path, out: Path, horizon_days: int, style: str) -> pl.DataFrame:
    """Build a dataset from a user's files, in a new folder that appears complete.

    Raises:
        UsageError: the folder is not empty, or the style or the horizon is not a valid one.
        DataError: the files cannot be used; nothing is written then.
    """
    if style not in ("full", "compact"):
        raise UsageError(f"--style {style!r}: give full or compact")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out} is there and not empty: name a new folder")
    try:
        config = DataConfig(source=FilesConfig(paths=(data,)), horizon_days=horizon_days)
    except ValidationError as error:
        raise UsageError(f"--horizon-days {horizon_days}: {error.errors()[0]['msg']}") from error
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
            folder = Path(aside, "dataset")
            folder.mkdir()
            examples = write_dataset(FilesSource(FilesConfig(paths=(data,))), config, style, folder)
            manifest = describe(folder, kind="dataset")
            write_whole(folder / MANIFEST, manifest.data)
            folder.rename(out)
    except OSError as error:
        raise DataError(f"{error.filename or out}: {error.strerror or error}; nothing was written") from error
    return examples


def describe_dataset(folder: Path) -> dict[str, Any]:
    """A dataset's contents: the keys of `dataset.json`, and counts, columns, a sample and the manifest's digest.

    Raises:
        DataError: the folder is no dataset.
    """
    manifest = Manifest.read(folder)
    examples = read_examples(folder)
    return {
        **read_description(folder),
        "manifest": manifest.digest,
        "examples": len(examples),
        "symbols": examples["symbol"].n_unique(),
        "columns": examples.columns,
        "sample": json.loads(examples.tail(1).write_json())[0],
    }


def _describe_splits(examples: pl.DataFrame) -> dict[str, dict[str, object]]:
    rows = examples.group_by("split").agg(
        examples=pl.len(),
        first=pl.col("decision_time").min().dt.date(),
        last=pl.col("decision_time").max().dt.date(),
        up_rate=is_up(pl.col("outcome")).mean(),
    )
    return {row.pop("split"): row for row in rows.sort("first").to_dicts()}

"""Datasets: examples on disk with a description of them. The data stage and `cortex dataset` write the same files."""

import json
import tempfile
from pathlib import Path
from typing import Any, cast

import polars as pl

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.domains.domain import Domain
from cortex.domains.example_columns import SPLITS, check_examples
from cortex.errors import DataError, UsageError
from cortex.limits import RECORD_BYTES, read_file, read_json
from cortex.settings import Settings

EXAMPLES = "examples.parquet"
DESCRIPTION = "dataset.json"


def write_dataset(domain: Domain, seed: int, settings: Settings, output: Path) -> pl.DataFrame:
    """Build a domain's examples, and write them with a description into a folder.

    Raises:
        ConfigError, DataError: as `Domain.build`; or the built examples are invalid, or cannot be written.
    """
    built = domain.build(seed, settings)
    check_examples(built.examples, domain.kind)
    try:
        built.examples.write_parquet(output / EXAMPLES)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{output / EXAMPLES} cannot be written: {error}; free space, then try again") from error
    description = {
        "domain": domain.kind,
        "source": built.source,
        "simulated": built.simulated,
        "summary": built.summary,
        **built.further,
        "splits": _splits(built.examples, domain),
    }
    (output / DESCRIPTION).write_text(json.dumps(description, indent=1, default=str) + "\n", encoding="utf-8")
    return built.examples


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


def read_split(folder: Path, split: str) -> pl.DataFrame:
    """The examples of one split, in their order.

    Raises:
        DataError: as `read_examples`.
    """
    return read_examples(folder).filter(pl.col("split") == split)


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


def build_dataset(domain: Domain, seed: int, settings: Settings, out: Path) -> pl.DataFrame:
    """Build a domain's examples into a new folder, which appears only once it is complete.

    Raises:
        UsageError: the folder is not empty.
        ConfigError, DataError: the source cannot be used; nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out} is there and not empty: name a new folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as aside:
            folder = Path(aside, "dataset")
            folder.mkdir()
            examples = write_dataset(domain, seed, settings, folder)
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
        "clusters": examples["cluster"].n_unique(),
        "columns": examples.columns,
        "sample": json.loads(examples.tail(1).write_json())[0],
    }


def _splits(examples: pl.DataFrame, domain: Domain) -> dict[str, dict[str, object]]:
    parts = {str(name[0]): rows for name, rows in examples.group_by("split")}
    described: dict[str, dict[str, object]] = {}
    for name, rows in sorted(parts.items(), key=lambda part: SPLITS.index(part[0])):
        at = rows["at"].drop_nulls().dt.date()
        described[name] = {"examples": len(rows), "first": at.min(), "last": at.max(), **domain.describe_split(rows)}
    return described

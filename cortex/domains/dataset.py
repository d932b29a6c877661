"""Datasets: examples on disk with a description of them. The data stage and `cortex dataset` write the same files."""

import json
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.domains.dataset_card import CARD, dataset_card
from cortex.domains.dataset_description import read_description, write_description
from cortex.domains.domain import Domain, OnProgress, Workspace, ignore_progress
from cortex.domains.example_columns import EXAMPLES, SPLITS, ExamplesCheck
from cortex.domains.feedback_rows import FeedbackRows
from cortex.domains.training_mix import mixed, write_mix
from cortex.errors import DataError, UsageError
from cortex.settings import Settings

PARTS = "examples-*.parquet"
"""The files in place of `EXAMPLES` where there are several, numbered from 00000 in the order of their rows."""


def write_dataset(
    domain: Domain, seed: int, settings: Settings, output: Path, on_progress: OnProgress | None = None
) -> int:
    """Build a domain's examples, and write them with a description into a folder. Returns the number of examples.

    Examples of several parts get a file each, so that memory has to hold no more than two of them.

    Raises:
        ConfigError, DataError: as `Domain.build`; or the built examples are invalid, or cannot be written.
    """
    with tempfile.TemporaryDirectory(dir=output, prefix=".scratch-") as scratch:
        workspace = Workspace(Path(scratch), on_progress or ignore_progress)
        try:
            feedback = FeedbackRows(domain, settings)  # before the build, which may take hours
            built = domain.build_parts(seed, settings, workspace)
            count = _write_parts(feedback.join(built.frames), domain.kind, output)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{output / EXAMPLES} cannot be written: {error}; free space, then try again") from error
    description = {
        "domain": domain.kind,
        **built.description(),
        "splits": describe_splits(scan_examples(output), domain),
    }
    used = feedback.finish(output)
    mix = write_mix(domain, seed, scan_examples(output), output)
    further = {"feedback": used, "mixing": mix}
    described = {**description, **{key: value for key, value in further.items() if value}}
    write_description(output, described)
    (output / CARD).write_text(dataset_card(domain, described), encoding="utf-8")
    return count


def scan_examples(folder: Path) -> pl.LazyFrame:
    """The examples of a dataset's folder, of which only what is asked for is read.

    Raises:
        DataError: the folder holds no dataset.
    """
    files = sorted(folder.glob(PARTS)) or [folder / EXAMPLES]
    with _reading(files[0]):
        rows = pl.scan_parquet(files, glob=False)
        rows.collect_schema()
        return rows


def scan_parts(folder: Path) -> list[pl.LazyFrame]:
    """The examples of a dataset's folder, file by file, as of `scan_examples`: each fits in memory.

    Raises:
        DataError: as `scan_examples`.
    """
    scan_examples(folder)
    return [pl.scan_parquet(file, glob=False) for file in sorted(folder.glob(PARTS)) or [folder / EXAMPLES]]


def read_examples(folder: Path) -> pl.DataFrame:
    """All examples of a dataset's folder.

    Raises:
        DataError: as `scan_examples`.
    """
    with _reading(folder / EXAMPLES):
        return scan_examples(folder).collect()


def read_split(
    folder: Path,
    split: str,
    count: int | None = None,
    narrow: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda rows: rows,
) -> pl.DataFrame:
    """The examples of one split, in their order; at most `count`, evenly spaced, where it is given.

    `narrow` takes some of the split's rows and columns, such as one domain's, before any are counted.

    Raises:
        DataError: as `scan_examples`.
    """
    rows = narrow(scan_examples(folder).filter(pl.col("split") == split))
    with _reading(folder / EXAMPLES):
        if count is None:
            return rows.collect()
        total = int(rows.select(pl.len()).collect().item())
        if total <= count:
            return rows.collect()
        places = pl.Series([index * total // count for index in range(count)], dtype=pl.UInt32)
        chosen = rows.with_row_index("_place").filter(pl.col("_place").is_in(places.implode()))
        return chosen.drop("_place").collect(engine="streaming")


def read_training(folder: Path, count: int | None = None) -> pl.DataFrame:
    """The training examples of a dataset's mix; at most `count`, as by `read_split`.

    Raises:
        DataError: as `scan_examples`.
    """
    return read_split(folder, "train", count, lambda rows: mixed(folder, rows))


def build_dataset(
    domain: Domain, seed: int, settings: Settings, out: Path, on_progress: OnProgress | None = None
) -> int:
    """Build a domain's examples into a new folder, which appears only once it is complete. Returns their number.

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
            count = write_dataset(domain, seed, settings, folder, on_progress)
            manifest = describe(folder, kind="dataset")
            write_whole(folder / MANIFEST, manifest.data)
            folder.rename(out)
    except OSError as error:
        raise DataError(f"{error.filename or out}: {error.strerror or error}; nothing was written") from error
    return count


def describe_dataset(folder: Path) -> dict[str, Any]:
    """A dataset's contents: the keys of `dataset.json`, and counts, columns, a sample and the manifest's digest.

    Raises:
        DataError: the folder is no dataset.
    """
    manifest = Manifest.read(folder)
    examples = scan_examples(folder)
    with _reading(folder / EXAMPLES):
        counts = examples.select(pl.len(), pl.col("cluster").n_unique()).collect(engine="streaming")
        sample = examples.tail(1).collect()
    return {
        **read_description(folder),
        "manifest": manifest.digest,
        "examples": counts["len"].item(),
        "clusters": counts["cluster"].item(),
        "columns": sample.columns,
        "sample": json.loads(sample.write_json())[0],
    }


def _write_parts(frames: Iterator[pl.DataFrame], kind: str, output: Path) -> int:
    """Write parts as they are built, each while the next is built."""
    check, count = ExamplesCheck(kind), 0
    with ThreadPoolExecutor(1, thread_name_prefix="examples") as pool:
        writing: Future[None] | None = None
        for number, frame in enumerate(frames):
            check.add(frame)
            if writing:
                writing.result()
            if number == 1:
                (output / EXAMPLES).rename(output / PARTS.replace("*", f"{0:05}"))
            name = PARTS.replace("*", f"{number:05}") if number else EXAMPLES
            writing = pool.submit(frame.write_parquet, output / name)
            count += frame.height
        if writing:
            writing.result()
    check.finish()
    return count


@contextmanager
def _reading(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} is no dataset that `cortex dataset build` wrote: {error}") from error


def describe_splits(examples: pl.LazyFrame, domain: Domain) -> dict[str, dict[str, object]]:
    """Size, times and the domain's further facts of each split."""
    first, last = pl.col("at").min().dt.date(), pl.col("at").max().dt.date()
    counts = (
        examples.group_by("split").agg(pl.len(), first.alias("first"), last.alias("last")).collect(engine="streaming")
    )
    return {
        name: {
            "examples": row["len"],
            "first": row["first"],
            "last": row["last"],
            **domain.describe_split(examples.filter(pl.col("split") == name)),
        }
        for name in SPLITS
        for row in counts.filter(split=name).iter_rows(named=True)
    }

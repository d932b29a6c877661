"""Export of a dataset for other programs: parquet files by split, a card that `datasets` reads, Croissant metadata."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from cortex.artifacts.hashing import hash_file
from cortex.domains.croissant import DataFile, croissant
from cortex.domains.dataset import scan_examples
from cortex.domains.dataset_card import CARD, column_meanings, dataset_card, known_limits
from cortex.domains.dataset_description import read_description
from cortex.domains.domain import DESCRIPTION, Domain
from cortex.domains.hub_features import hub_features
from cortex.domains.training_mix import MIX, mixed
from cortex.errors import DataError, UsageError
from cortex.text import harmless

CROISSANT = "croissant.json"

LEFT_OUT = "train_left_out"
"""Name of the training examples that a mix left out."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's categories of sizes, by the number of examples that each is below."""


@dataclass(frozen=True)
class Exported:
    """A dataset to export, and what its files do not say of it."""

    folder: Path
    domain: Domain
    name: str
    licence: str
    """The hub's identifier of a licence, or `other`."""
    digest: str
    """Digest of the dataset's manifest."""


def export_dataset(dataset: Exported, to: Path) -> list[DataFile]:
    """Write a dataset for other programs into a new folder, which appears only once it is complete.

    Raises:
        UsageError: the folder is not empty.
        DataError: there is no dataset, or the export cannot be written.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to {to} is there and not empty: name a new folder")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as aside:
            made = Path(aside, "export")
            (made / "data").mkdir(parents=True)
            files = [_write(made, *part) for part in _parts(dataset.folder)]
            _describe(dataset, made, files)
            if to.exists():
                to.rmdir()
            made.rename(to)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{to} cannot be written: {error}; nothing was exported") from error
    return files


def _parts(folder: Path) -> list[tuple[str, pl.LazyFrame, str]]:
    """The name, the rows and the description of each file."""
    rows = scan_examples(folder)
    train = rows.filter(pl.col("split") == "train")
    parts = [("train", mixed(folder, train), "Training examples" + (" of the mix" * (folder / MIX).exists()))]
    if (folder / MIX).exists():
        drawn = pl.scan_parquet(folder / MIX, glob=False).select("id")
        left = train.join(drawn, on="id", how="anti", maintain_order="left")
        parts.append((LEFT_OUT, left, "Training examples that the mix left out"))
    held_out = ("validation", "test")
    return parts + [(one, rows.filter(pl.col("split") == one), f"{one.capitalize()} examples") for one in held_out]


def _write(made: Path, name: str, rows: pl.LazyFrame, words: str) -> DataFile:
    path = made / "data" / f"{name}.parquet"
    rows.sink_parquet(path, maintain_order=True)
    hashed = hash_file(path)
    relative = path.relative_to(made).as_posix()
    return DataFile(name, relative, hashed.sha256, hashed.size, words)


def _describe(dataset: Exported, made: Path, files: Sequence[DataFile]) -> None:
    """Write the card, the description and the Croissant metadata."""
    domain, description = dataset.domain, read_description(dataset.folder)
    schema = dict(scan_examples(dataset.folder).collect_schema())
    head = yaml.safe_dump(_metadata(dataset, files, schema, description), sort_keys=False, width=1000)
    body = dataset_card(domain, description)
    (made / CARD).write_text(f"---\n{head}---\n\n{body}", encoding="utf-8")
    shutil.copyfile(dataset.folder / DESCRIPTION, made / DESCRIPTION)
    found = croissant(
        name=dataset.name,
        description=f"Examples of {domain.kind}: {description.get('summary') or 'questions with their truths'}",
        licence=dataset.licence if dataset.licence != "other" else "See the sources and terms in README.md",
        digest=dataset.digest,
        files=files,
        schema=schema,
        meanings=column_meanings(domain, description),
        limits=known_limits(domain, description),
    )
    (made / CROISSANT).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _metadata(
    dataset: Exported, files: Sequence[DataFile], schema: Mapping[str, pl.DataType], description: Mapping[str, Any]
) -> dict[str, Any]:
    """The hub's fields of a dataset card: the files of each split, and the type of each column."""
    splits = [{"split": file.name, "path": file.path} for file in files if file.name != LEFT_OUT]
    configs: list[dict[str, Any]] = [{"config_name": "default", "data_files": splits, "default": True}]
    left_out = [file.path for file in files if file.name == LEFT_OUT]
    if left_out:
        whole = [
            {**split, "path": [split["path"], *left_out]} if split["split"] == "train" else split for split in splits
        ]
        configs.append({"config_name": "unmixed", "data_files": whole})
    features = hub_features(schema)
    count = sum(int(split["examples"]) for split in description["splits"].values())
    infos = [{"config_name": config["config_name"], "features": features} for config in configs]
    fields = {
        "pretty_name": harmless(dataset.name),
        "license": harmless(dataset.licence),
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["cortex", "croissant", *(["simulated-data"] if description["simulated"] else [])],
        "size_categories": [next((words for most, words in _SIZES if count < most), "1M<n<10M")],
        "configs": configs,
        "dataset_info": infos,
    }
    # By way of JSON, since YAML would write an object that is there twice as an alias.
    return json.loads(json.dumps(fields))

"""Exported datasets: the rows, the card's metadata, and Croissant as its own library reads it."""

import hashlib
import json
import logging
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import yaml

from cortex.domains.dataset import build_dataset, read_split, read_training
from cortex.domains.dataset_export import CROISSANT, Exported, export_dataset
from cortex.domains.domain import Domain
from cortex.domains.hub_features import hub_features
from cortex.domains.mixture import read_described
from cortex.errors import DataError, UsageError
from cortex.settings import Settings

MARKETS: dict[str, Any] = {
    "kind": "markets",
    "style": "compact",
    "source": {"kind": "simulator", "chains": 2, "days": 500},
    "mixing": {"half_life_days": 90.0},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset's folder, and its export."""
    folder = tmp_path_factory.mktemp("exported")
    build_dataset(domain := read_described(MARKETS), 0, Settings(), folder / "data")
    export_dataset(described(folder / "data", domain), folder / "out")
    return folder / "data", folder / "out"


def described(folder: Path, domain: Domain) -> Exported:
    return Exported(folder, domain, "tiny", "cc-by-4.0", "ab" * 32)


def test_each_split_is_a_file_with_the_dataset_s_rows(exported: tuple[Path, Path]) -> None:
    data, out = exported
    for split in ("validation", "test"):
        assert pl.read_parquet(out / "data" / f"{split}.parquet").equals(read_split(data, split))
    drawn, left = (pl.read_parquet(out / "data" / f"{name}.parquet") for name in ("train", "train_left_out"))
    assert drawn.equals(read_training(data))
    assert pl.concat([drawn, left]).sort("id").equals(read_split(data, "train").sort("id"))


def test_the_card_s_metadata_names_the_files_and_types(exported: tuple[Path, Path]) -> None:
    data, out = exported
    _, head, body = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert body.lstrip() == (data / "README.md").read_text(encoding="utf-8") and "&id" not in head
    found = yaml.safe_load(head)
    assert found["license"] == "cc-by-4.0" and found["pretty_name"] == "tiny" and "simulated-data" in found["tags"]
    default, unmixed = found["configs"]
    assert [item["split"] for item in default["data_files"]] == ["train", "validation", "test"]
    assert unmixed["data_files"][0]["path"] == ["data/train.parquet", "data/train_left_out.parquet"]
    columns = [feature["name"] for feature in found["dataset_info"][0]["features"]]
    assert columns == read_split(data, "test").columns


@pytest.fixture
def croissant(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Croissant's own library, over the maintained fork of the one that it names; importing it takes seconds."""
    monkeypatch.setitem(sys.modules, "jsonpath_rw", import_module("jsonpath_ng"))
    monkeypatch.setitem(sys.modules, "jsonpath_rw.lexer", import_module("jsonpath_ng.lexer"))
    return import_module("mlcroissant")


@pytest.mark.integration
def test_croissant_s_own_library_finds_nothing_wrong(
    exported: tuple[Path, Path], caplog: pytest.LogCaptureFixture, croissant: ModuleType
) -> None:
    data, out = exported
    with caplog.at_level(logging.WARNING):
        found = croissant.Dataset(jsonld=str(out / CROISSANT)).metadata
    said = [line for record in caplog.records for line in record.getMessage().splitlines() if line.strip()]
    # Nobody has published or cited it yet.
    assert all("citeAs" in line or "datePublished" in line or line.startswith("Found the following") for line in said)
    assert [records.name for records in found.record_sets] == ["train", "train_left_out", "validation", "test"]
    fields = {field.name: field for field in found.record_sets[-1].fields}
    assert list(fields) == read_split(data, "test").columns
    assert [part.name for part in fields["messages"].sub_fields] == ["role", "content"]
    assert str(fields["outcome"].description).startswith("the return over the horizon, as a fraction")
    for file in json.loads((out / CROISSANT).read_text(encoding="utf-8"))["distribution"]:
        assert hashlib.sha256((out / file["contentUrl"]).read_bytes()).hexdigest() == file["sha256"]


@pytest.mark.integration
def test_croissant_s_own_library_refuses_a_column_that_is_of_no_file(
    exported: tuple[Path, Path], tmp_path: Path, croissant: ModuleType
) -> None:
    """The check above can fail."""
    broken = json.loads((exported[1] / CROISSANT).read_text(encoding="utf-8"))
    broken["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "data/none.parquet"
    (tmp_path / CROISSANT).write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(croissant.ValidationError, match=r"none\.parquet"):
        croissant.Dataset(jsonld=str(tmp_path / CROISSANT))


def test_equal_datasets_have_equal_exports(exported: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = exported
    (tmp_path / "out").mkdir()  # an empty folder may be there
    export_dataset(described(data, read_described(MARKETS)), tmp_path / "out")
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*") if path.is_file()
    )
    assert all((out / file).read_bytes() == (tmp_path / "out" / file).read_bytes() for file in files)


def test_a_folder_that_is_not_empty_stays_as_it_is(exported: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="not empty: name a new folder"):
        export_dataset(described(exported[0], read_described(MARKETS)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_no_dataset_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="is no dataset"):
        export_dataset(described(tmp_path / "none", read_described(MARKETS)), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["none"]


def test_a_type_without_a_word_is_refused() -> None:
    with pytest.raises(DataError, match="column 'took' is of type Duration"):
        hub_features({"took": pl.Duration("us")})

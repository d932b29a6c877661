import json
import resource
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.verify import verify
from cortex.domains.build_progress import progress_lines
from cortex.domains.dataset import (
    EXAMPLES,
    build_dataset,
    describe_dataset,
    read_description,
    read_examples,
    read_split,
)
from cortex.domains.dataset_card import CARD
from cortex.domains.domain import DESCRIPTION, BuiltParts, Workspace
from cortex.domains.markets.config import SimulatorConfig
from cortex.domains.markets.domain import Markets
from cortex.errors import ConfigError, DataError, UsageError
from cortex.limits import RECORD_BYTES, TooLargeError
from cortex.profiles.profile_file import read_section
from cortex.settings import Settings
from tests.conftest import Cortex
from tests.tables import bars, write_csv


def build(data: Path, out: Path, horizon_days: int = 1, style: str = "full") -> pl.DataFrame:
    """Build a dataset as `cortex dataset build` does, and read it."""
    source = {"kind": "files", "paths": [str(data)]}
    values = {"source": source, "horizon_days": horizon_days, "style": style}
    count = build_dataset(read_section("markets", values), 0, Settings(), out)
    examples = read_examples(out)
    assert count == len(examples)
    return examples


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "prices.csv")


def test_a_dataset_is_whole_verified_and_says_what_it_is(csv: Path, tmp_path: Path) -> None:
    examples = build(csv, tmp_path / "deep" / "out", 7, "compact")
    out = tmp_path / "deep" / "out"
    assert verify(out).ok
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert {path.name for path in out.iterdir()} == {EXAMPLES, DESCRIPTION, CARD, MANIFEST}
    described = describe_dataset(out)
    assert {"id", "messages", "truth", "symbol", "cluster", "at", "outcome_time", "split"} <= set(described["columns"])
    assert (described["horizon_days"], described["style"], described["simulated"]) == (7, "compact", False)
    assert described["examples"] == len(examples) == sum(split["examples"] for split in described["splits"].values())
    assert list(described["splits"]) == ["train", "validation", "test"]
    assert described["symbols"] == 2
    assert described["sample"]["messages"] == examples["messages"][-1].to_list()
    json.dumps(described)


def test_the_same_file_gives_the_same_manifest(csv: Path, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        build(csv, tmp_path / name, 1, "full")
        digests.add(describe_dataset(tmp_path / name)["manifest"])
    assert len(digests) == 1


def test_an_empty_folder_is_taken_and_a_full_one_is_not(csv: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    build(csv, out, 1, "full")
    before = (out / EXAMPLES).read_bytes()
    with pytest.raises(UsageError, match="is there and not empty: name a new folder"):
        build(csv, out, 2, "full")
    assert (out / EXAMPLES).read_bytes() == before
    with pytest.raises(UsageError, match="is there and not empty"):
        build(csv, csv, 1, "full")


@pytest.mark.parametrize(
    ("horizon", "style", "message"),
    [
        (0, "full", "domain markets: horizon_days: .* greater than or equal to 1"),
        (366, "full", "domain markets: horizon_days: .* less than or equal to 365"),
        (1, "short", "domain markets: style: .* 'full' or 'compact'"),
    ],
)
def test_words_that_it_cannot_take(horizon: int, style: str, message: str, csv: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        build(csv, tmp_path / "out", horizon, style)


def test_a_horizon_longer_than_the_data_leaves_nothing_behind(tmp_path: Path) -> None:
    csv = write_csv(tmp_path / "prices.csv", bars(days=150))
    with pytest.raises(DataError, match=r"too little history: .* has 150 daily bars; .*horizon_days 60 need at least"):
        build(csv, tmp_path / "out", 60, "full")
    assert [path.name for path in tmp_path.iterdir()] == ["prices.csv"]


@pytest.mark.parametrize("data", [b"[]", b"NaN", b"\xff", b"[" * 10_000, b"{}" + b" " * RECORD_BYTES])
def test_a_description_that_is_none_of_ours_is_not_used(data: bytes, csv: Path, tmp_path: Path) -> None:
    build(csv, tmp_path / "out", 1, "full")
    (tmp_path / "out" / DESCRIPTION).write_bytes(data)
    with pytest.raises((DataError, TooLargeError), match=DESCRIPTION):
        read_description(tmp_path / "out")


@pytest.mark.parametrize("name", [EXAMPLES, DESCRIPTION])
def test_what_is_no_dataset_is_named(name: str, csv: Path, tmp_path: Path) -> None:
    build(csv, tmp_path / "out", 1, "full")
    (tmp_path / "out" / name).write_bytes(b"{torn")
    with pytest.raises(DataError, match=f"{name} is no "):
        describe_dataset(tmp_path / "out")


def test_every_column_is_accounted_for_in_the_description_and_in_print(cortex: Cortex, tmp_path: Path) -> None:
    table = bars().with_columns(
        pl.int_range(pl.len()).alias(""), venue=pl.lit("spot"), fees=pl.col("close").sin(), ignore=pl.lit(0)
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".hidden.csv").write_text("")
    write_csv(tmp_path / "data" / "prices.csv", table)
    built = cortex("dataset", "build", "--data", tmp_path / "data", "--out", tmp_path / "out", COLUMNS="120")
    assert built.returncode == 0, built.stderr
    lines = [" ".join(line.split()) for line in built.stdout.splitlines()]
    assert lines[:-1] == [
        "column serves as why file",
        "symbol symbol named so prices.csv",
        "date time text prices.csv",
        "open, high, low, close price prices.csv",
        "'' left out a counter: the same step from each row to the next prices.csv",
        "venue left out text, such as 'spot' prices.csv",
        "fees metric numbers prices.csv",
        "ignore left out a constant: one value for each symbol prices.csv",
        "not read: .hidden.csv",
    ]
    assert lines[-1].startswith(f"{tmp_path / 'out'}: ") and lines[-1].endswith(" examples")
    account = describe_dataset(tmp_path / "out")["account"]
    assert {column["name"]: column["role"] for column in account["columns"]} == {
        **dict.fromkeys(("open", "high", "low", "close"), "price"),
        **dict.fromkeys(("", "venue", "ignore"), "left out"),
        **{"symbol": "symbol", "date": "time", "fees": "metric"},
    }
    assert account["notes"] == ["not read: .hidden.csv"]


def test_an_outcome_of_exactly_nothing_is_half_a_rise(tmp_path: Path) -> None:
    # The close repeats every third day: a third of the outcomes is up, a third down, and a third exactly 0.
    closes = pl.Series([(100.0, 100.0, 101.0)[day % 3] for day in range(400)])
    flat = bars(days=400, symbols=("BTC",)).with_columns(
        closes.alias(name) for name in ("open", "high", "low", "close")
    )
    examples = build(write_csv(tmp_path / "prices.csv", flat), tmp_path / "out", 1, "full")
    up, still = (int((examples["outcome"].sign() == sign).sum()) for sign in (1, 0))
    assert still > 50
    splits = describe_dataset(tmp_path / "out")["splits"].values()
    assert sum(split["examples"] * split["up_rate"] for split in splits) == pytest.approx(up + still / 2)
    assert sum(split["unchanged"] for split in splits) == still


@pytest.mark.parametrize(("rows", "count"), [(10, 3), (10, 10), (3, 10), (1000, 7)])
def test_rows_are_taken_evenly_and_in_order(rows: int, count: int, tmp_path: Path) -> None:
    table = pl.DataFrame({"row": range(2 * rows)}).with_columns(split=pl.Series(["train", "test"] * rows))
    table.write_parquet(tmp_path / EXAMPLES)
    every = read_split(tmp_path, "test")["row"]
    assert every.to_list() == list(range(1, 2 * rows, 2))
    taken = (read_split(tmp_path, "test", count)["row"] - 1) // 2
    assert len(taken) == min(rows, count) == taken.n_unique()
    assert taken.is_sorted() and taken[0] == 0
    gaps = taken.diff().drop_nulls()
    assert gaps.is_empty() or int(gaps.max()) - int(gaps.min()) <= 1  # pyright: ignore[reportArgumentType]


class InParts(Markets):
    """Markets whose examples come in parts of 40, and end as `ends` says."""

    ends: str = "well"

    def build_parts(self, seed: int, settings: Settings, workspace: Workspace) -> BuiltParts:
        built = self.build(seed, settings)
        assert workspace.scratch is not None
        (workspace.scratch / "temporary").write_text("")

        def frames() -> Iterator[pl.DataFrame]:
            yield from built.examples.iter_slices(40)
            if self.ends == "twice":
                yield built.examples.tail(3)
            if self.ends == "interrupted":
                raise KeyboardInterrupt

        return BuiltParts(frames(), built.description)


def test_parts_are_files_that_read_as_one(tmp_path: Path) -> None:
    domain = InParts(source=SimulatorConfig(chains=1, days=400))
    count = build_dataset(domain, 0, Settings(), tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == [
        CARD,
        DESCRIPTION,
        *(f"examples-{number:05}.parquet" for number in range(-(-count // 40))),
        MANIFEST,
    ]
    whole = domain.build(0, Settings()).examples
    assert verify(tmp_path / "out").ok and count == len(whole)
    assert read_examples(tmp_path / "out").equals(whole)
    assert read_split(tmp_path / "out", "test").equals(whole.filter(split="test"))
    assert read_split(tmp_path / "out", "train", 7)["id"].is_in(whole["id"].implode()).sum() == 7
    build_dataset(Markets(source=domain.source), 0, Settings(), tmp_path / "one")
    described, one = describe_dataset(tmp_path / "out"), describe_dataset(tmp_path / "one")
    assert {**described, "manifest": ""} == {**one, "manifest": ""}


def test_an_id_in_two_parts_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    domain = InParts(source=SimulatorConfig(chains=1, days=400), ends="twice")
    with pytest.raises(DataError, match="two examples with the same id, in two parts"):
        build_dataset(domain, 0, Settings(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    domain = InParts(source=SimulatorConfig(chains=1, days=400), ends="interrupted")
    with pytest.raises(KeyboardInterrupt):
        build_dataset(domain, 0, Settings(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_one_line_and_nothing_is_left(csv: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(
            DataError, match=r"examples\.parquet cannot be written: .*; free space, then try again"
        ) as error:
            build(csv, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [csv]


def test_progress_is_a_line_from_time_to_time() -> None:
    lines: list[str] = []
    now = iter([0.0, 5.0, 16.0, 16.0, 20.0, 40.0, 40.0])
    on_progress = progress_lines(lines.append, lambda: next(now))
    for done in range(4):
        on_progress("features", done, 4)
    assert lines == ["features: 1 of 4", "features: 3 of 4"]

"""Each source file's part in the examples is counted, and a file without one is refused."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.markets.domain import Markets
from cortex.errors import DataError
from cortex.settings import Settings

from .tables import START, bars, dated, metric


def _write(folder: Path) -> None:
    dated(bars([100 + day * day % 11 for day in range(300)], "NEAR")).write_csv(folder / "near.csv")
    dated(bars([100 + day * day % 13 for day in range(300)], "ETH")).write_csv(folder / "eth.csv")


def _build(folder: Path, **source: Any) -> list[dict[str, Any]]:
    given = {"source": {"kind": "files", "paths": str(folder), **source}, "window_days": 20}
    return Markets.model_validate(given).build(0, Settings()).source["files"]  # type: ignore[return-value]


def test_rows_and_examples_are_counted_by_file(tmp_path: Path) -> None:
    _write(tmp_path)
    files = {file["name"]: file for file in _build(tmp_path)}
    assert {name: file["rows"] for name, file in files.items()} == {"near.csv": 300, "eth.csv": 300}
    examples = Markets.model_validate({"source": {"kind": "files", "paths": str(tmp_path)}, "window_days": 20}).build(
        0, Settings()
    )
    of_near = examples.examples.filter(symbol="NEAR").height
    assert files["near.csv"]["examples"] == of_near > 100


def test_parts_of_one_history_count_those_whose_windows_reach_them(tmp_path: Path) -> None:
    whole = dated(bars([100 + day * day % 11 for day in range(300)], "NEAR"))
    whole[:40].write_csv(tmp_path / "near-part1.csv")
    whole[40:].write_csv(tmp_path / "near-part2.csv")
    first, second = _build(tmp_path)
    assert 0 < first["examples"] < second["examples"], "the first part only fills windows"


def test_a_file_that_is_too_short_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    _write(tmp_path)
    dated(bars(range(1, 31), "ZETA")).write_csv(tmp_path / "zeta.csv")
    with pytest.raises(DataError, match=r"zeta.csv contributes to no example: no decision draws on .* ZETA") as error:
        _build(tmp_path)
    assert "\n" not in str(error.value)
    by_name = {file["name"]: file["examples"] for file in _build(tmp_path, unused=["zeta.csv"])}
    assert by_name["zeta.csv"] == 0 < by_name["eth.csv"]
    assert len(_build(tmp_path, symbols=["near", "eth"])) == 3, "symbols that are not asked for are left out by name"


def test_a_file_whose_columns_all_serve_nothing_is_refused(tmp_path: Path) -> None:
    _write(tmp_path)
    pl.concat([metric([7.0] * 300, symbol, START) for symbol in ("NEAR", "ETH")]).pipe(dated).write_csv(
        tmp_path / "flat.csv"
    )
    with pytest.raises(
        DataError, match=r"flat.csv contributes to no example: none of its columns is a price or serves"
    ):
        _build(tmp_path)
    assert len(_build(tmp_path, metrics=[])) == 3


def test_the_check_before_a_launch_finds_such_a_file(tmp_path: Path) -> None:
    _write(tmp_path)
    dated(bars(range(1, 31), "ZETA")).write_csv(tmp_path / "zeta.csv")
    source = {"kind": "files", "paths": str(tmp_path)}
    with pytest.raises(DataError, match=r"zeta.csv contributes to no example"):
        Markets.model_validate({"source": source, "window_days": 20}).check(Settings())

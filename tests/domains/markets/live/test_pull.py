"""Pulls and kept series on a disk that was cut off, and patience with a service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.markets.live.kept import Kept
from cortex.domains.markets.live.later import LaterError, patiently
from cortex.domains.markets.live.pull import PART_ROWS, Puller, Ran
from cortex.domains.markets.live.request_pace import Pace
from cortex.domains.markets.live.statement import Statement
from cortex.errors import DataError

ROWS = 2 * PART_ROWS + 5
STATEMENT = Statement("numbers", "select n", {"n": pl.Float64()})


@dataclass
class Numbers:
    """A service whose n-th row is n."""

    short: int = 0
    """Rows that it leaves out of each page."""
    pages: list[int] = field(default_factory=list[int])
    runs: int = 0

    def start(self, statement: Statement) -> str:
        self.runs += 1
        return f"run {self.runs} of {statement.name}"

    def wait(self, run: str) -> Ran:
        return Ran(ROWS, {"runs": self.runs})

    def page(self, run: str, number: int, size: int) -> Sequence[Mapping[str, Any]]:
        self.pages.append(number)
        return [{"n": n} for n in range((number - 1) * size, min(number * size, ROWS) - self.short)]


def puller(service: Numbers, folder: Path) -> Puller:
    return Puller(service, "numbers", folder, pace=Pace(1e6))


def test_rows_come_in_the_order_of_the_statement(tmp_path: Path) -> None:
    pulled = puller(Numbers(), tmp_path).pull(STATEMENT)
    assert pulled.table()["n"].to_list() == [float(n) for n in range(ROWS)]
    assert [part.name for part in sorted(pulled.folder.glob("part-*"))] == [f"part-0000{n}.parquet" for n in range(3)]


@pytest.mark.parametrize("left", [0, 100])
def test_a_part_that_a_power_cut_spoilt_is_asked_for_again_alone(tmp_path: Path, left: int) -> None:
    service = Numbers()
    whole = puller(service, tmp_path).pull(STATEMENT)
    part = whole.folder / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:left])
    (whole.folder / "complete.json").write_bytes(b"{")
    service.pages.clear()
    again = puller(service, tmp_path).pull(STATEMENT)
    assert service.pages == [2] and service.runs == 1
    assert again.digest == whole.digest and again.table().equals(whole.table())


def test_a_page_with_too_few_rows_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"numbers sent .* rows of numbers where .* were due") as error:
        puller(Numbers(short=1), tmp_path).pull(STATEMENT)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*/part-*")) and not list(tmp_path.glob("*/complete.json"))


def test_a_series_that_a_power_cut_spoilt_is_asked_for_again(tmp_path: Path) -> None:
    table = pl.DataFrame({"n": [1.0, 2.0]})
    kept = Kept(tmp_path)
    assert kept.series("a", "question", lambda: table).equals(table) and kept.asked == 1
    kept.series("a", "question", lambda: pytest.fail("it is kept"))
    (file,) = tmp_path.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:20])
    assert kept.series("a", "question", lambda: table).equals(table) and kept.asked == 2
    assert kept.series("a", "another question", lambda: table[:1]).height == 1


def test_patience_takes_the_wait_that_is_asked_for_and_ends() -> None:
    slept: list[float] = []
    faults = [LaterError("limit", 7.0), LaterError("broken")]

    def attempt() -> str:
        if faults:
            raise faults.pop(0)
        return "answer"

    assert patiently(attempt, (1.0, 2.0, 3.0), slept.append) == "answer" and slept == [7.0, 2.0]
    faults += [LaterError("broken")] * 9
    slept.clear()
    with pytest.raises(LaterError, match="broken"):
        patiently(attempt, (1.0, 2.0), slept.append)
    assert slept == [1.0, 2.0]


def test_a_wait_that_is_too_long_is_left_to_the_user() -> None:
    slept: list[float] = []

    def attempt() -> str:
        raise LaterError("limit", 3600)

    with pytest.raises(LaterError, match="limit"):
        patiently(attempt, (1.0,), slept.append)
    assert not slept

"""A pull: the answer to one statement, kept as parquet parts that a kill does not spoil and a second pull reuses.

A part is a fixed range of the answer's rows, so the parts are the same bytes however large the pages were, however
often the pull was killed. Each part is written aside and renamed; `complete.json` comes last. All pages are of one run
of the statement: where the service has forgotten it, the pull begins anew, since another run may hold revised rows.
"""

import asyncio
import fcntl
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import polars as pl

from cortex.domains.domain import OnProgress, ignore_progress
from cortex.domains.markets.live.replaced import remove, set_aside
from cortex.domains.markets.live.request_pace import Pace
from cortex.domains.markets.live.statement import Statement
from cortex.errors import DataError

PART_ROWS = 10_000
"""Rows of a part. Smaller pages are halves of it, as often as it can be halved."""
SMALLEST_PAGE = 625

_RUN, _COMPLETE = "run.json", "complete.json"
_TRIES = 3
"""Runs of one statement in a pull: more are forgotten only where results are kept for less time than a pull takes."""


class Ran(NamedTuple):
    """A finished run of a statement."""

    rows: int
    cost: Mapping[str, float]
    """Costs in the service's own units, such as query-seconds or credits."""


class PageTooLargeError(Exception):
    """The service does not send as many rows at a time."""


class RunGoneError(Exception):
    """The service has forgotten a run and its result."""


class PageClient(Protocol):
    """A service that runs statements and gives their results page by page. Methods are called from several threads."""

    def start(self, statement: Statement) -> str:
        """Begin a run, and return its id."""
        ...

    def wait(self, run: str) -> Ran:
        """Wait until a run is over. Raises RunGoneError, or DataError where it failed."""
        ...

    def page(self, run: str, number: int, size: int) -> Sequence[Mapping[str, Any]]:
        """Rows of one page, numbered from 1. Raises PageTooLargeError or RunGoneError."""
        ...


@dataclass(frozen=True)
class Pulled:
    """A complete pull."""

    folder: Path
    rows: int
    digest: str
    """SHA-256 over the hashes of all parts, in order."""
    cost: Mapping[str, float]
    kept: bool
    """True where no row was asked for: an earlier pull had them all."""
    columns: Mapping[str, pl.DataType]
    revised: int | None = None
    """Rows that are not as in the pull before; None where there was none to compare with."""

    def table(self) -> pl.DataFrame:
        """All rows, in the order of the statement."""
        parts = sorted(self.folder.glob("part-*.parquet"))
        return pl.read_parquet(parts) if parts else pl.DataFrame(schema=dict(self.columns))


@dataclass(frozen=True)
class Puller:
    """Pulls from one service into a folder."""

    client: PageClient
    service: str
    """The service's name and whatever its answers depend on besides the statement; part of each pull's key."""
    folder: Path
    at_once: int = 4
    """Pages that are asked for at the same time, and held in memory."""
    pace: Pace = field(default_factory=Pace)
    on_progress: OnProgress = ignore_progress

    def pull(self, statement: Statement, fresh: bool = False) -> Pulled:
        """The answer to a statement: kept from an earlier pull, continued, or pulled now. `fresh` asks anew.

        Raises CortexError where the service refuses, or answers with something else than rows.
        """
        folder = self.folder / f"{statement.name}-{statement.key(self.service)}"
        folder.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w", encoding="utf-8") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            complete = _read_json(folder / _COMPLETE)
            before = aside = None
            if complete is not None:
                held = Pulled(folder, **complete, kept=True, columns=statement.columns)
                if not fresh:
                    return held
                before = held.table()
                aside = set_aside(folder, held.digest)
                folder.mkdir()
            elif fresh:
                _empty(folder)
            for _ in range(_TRIES):
                try:
                    pulled = self._go_on(statement, folder)
                    if aside and aside.name.endswith(pulled.digest[:16]):
                        remove(aside)
                    return pulled if before is None else replace(pulled, revised=count_other(pulled.table(), before))
                except RunGoneError:
                    _empty(folder)
        raise DataError(
            f"{self.service} forgot the result of {statement.name} {_TRIES} times before all of it was here: try later"
        )

    def _go_on(self, statement: Statement, folder: Path) -> Pulled:
        known = _read_json(folder / _RUN)
        run = str(known["run"]) if known else self.client.start(statement)
        if known is None:
            _write(folder / _RUN, json.dumps({"run": run, "sql": statement.text}).encode())
        ran = self.client.wait(run)
        missing = [number for number in range(-(-ran.rows // PART_ROWS)) if not _is_whole(folder, number, ran.rows)]
        asyncio.run(self._fetch(statement, folder, run, ran.rows, missing))
        names = [_part(folder, number) for number in range(-(-ran.rows // PART_ROWS))]
        hashes = [hashlib.sha256(name.read_bytes()).hexdigest() for name in names]
        digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        complete = {"rows": ran.rows, "digest": digest, "cost": dict(ran.cost)}
        _write(folder / _COMPLETE, json.dumps(complete).encode())
        return Pulled(folder, **complete, kept=False, columns=statement.columns)

    async def _fetch(self, statement: Statement, folder: Path, run: str, rows: int, missing: Sequence[int]) -> None:
        waiting = iter(missing)
        size, done = PART_ROWS, -(-rows // PART_ROWS) - len(missing)

        async def work() -> None:
            nonlocal size, done
            for number in waiting:
                first = number * PART_ROWS
                last = min(first + PART_ROWS, rows)
                pieces: list[pl.DataFrame] = []
                while first < last:
                    await self.pace.wait()
                    asked = size  # it divides every larger size, so that a page never begins within another one
                    try:
                        page = await asyncio.to_thread(self.client.page, run, first // asked + 1, asked)
                    except PageTooLargeError as error:
                        if asked // 2 < SMALLEST_PAGE:
                            raise DataError(
                                f"{self.service} does not send even {asked} rows of {statement.name} at a time: "
                                "ask for fewer columns"
                            ) from error
                        size = min(size, asked // 2)
                        continue
                    count = min(asked, last - first)
                    pieces.append(_as_table(page, count, statement, first, self.service))
                    first += count
                table = pl.concat(pieces)
                await asyncio.to_thread(_write_part, _part(folder, number), table)
                done += 1
                self.on_progress(statement.name, done, -(-rows // PART_ROWS))

        tasks = [asyncio.create_task(work()) for _ in range(min(self.at_once, len(missing)))]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _as_table(
    page: Sequence[Mapping[str, Any]], count: int, statement: Statement, first: int, service: str
) -> pl.DataFrame:
    if len(page) != count:
        raise DataError(
            f"{service} sent {len(page):,} rows of {statement.name} where {count:,} were due, from row {first + 1:,} "
            "on: run the same command again"
        )
    columns: list[pl.Series] = []
    for name, kind in statement.columns.items():
        values = [row.get(name) for row in page]
        try:
            column = pl.Series(name, values, strict=False) if kind == pl.Float64 else pl.Series(name, values, kind)
            columns.append(column.cast(kind))
        except (pl.exceptions.PolarsError, TypeError, OverflowError) as error:
            raise DataError(
                f"{service} sent a {name} that is no {kind} among the rows {first + 1:,} to {first + count:,} of "
                f"{statement.name}: check its columns there"
            ) from error
    return pl.DataFrame(columns)


def count_other(rows: pl.DataFrame, before: pl.DataFrame) -> int:
    """Number of rows that are not among those before."""
    return rows.join(before, on=rows.columns, how="anti", nulls_equal=True).height


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _is_whole(folder: Path, number: int, rows: int) -> bool:
    """True where a part is there with all of its rows; a power cut may leave a part that cannot be read."""
    part = _part(folder, number)
    if not part.exists():
        return False
    try:
        held = pl.scan_parquet(part).select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError):
        return False
    return held == min(PART_ROWS, rows - number * PART_ROWS)


def _write_part(path: Path, table: pl.DataFrame) -> None:
    aside = path.with_suffix(".aside")
    table.write_parquet(aside, compression="zstd")
    aside.replace(path)


def _write(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".aside")
    aside.write_bytes(content)
    aside.replace(path)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()

"""The warehouse's tables and queries: Snowflake's SQL, translated by sqlglot and run by DuckDB."""

import datetime as dt
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import sqlglot
from sqlglot.errors import ErrorLevel, SqlglotError

MEMORY = "2GB"
"""The most that DuckDB may hold; results beyond it go to the folder."""


class QueryFailedError(Exception):
    """A statement that Snowflake would refuse, too; or one whose translation would change its meaning."""


@dataclass
class Engine:
    """A database in a folder. Finished results are tables of their own, which later changes do not touch."""

    folder: Path
    _database: Any = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._database = duckdb.connect(str(self.folder / "results.duckdb"))
        self._database.execute(f"set memory_limit = '{MEMORY}'")
        self._database.execute("set threads = 2")

    def add(self, name: str, rows: pl.DataFrame) -> None:
        """Add a table under Snowflake's three names, such as `near.stats.ez_core_metrics_hourly`."""
        catalog, schema, table = name.split(".")
        file = self.folder / f"{name}.parquet"
        rows.write_parquet(file)
        self._database.execute(f"attach if not exists '{self.folder / catalog}.duckdb' as {catalog}")
        self._database.execute(f"create schema if not exists {catalog}.{schema}")
        self._database.execute(f"create table {catalog}.{schema}.{table} as select * from read_parquet('{file}')")
        file.unlink()

    def change(self, sql: str) -> None:
        """Change tables in DuckDB's own SQL, as a provider revises its history."""
        with self._lock:
            self._database.execute(sql)

    def run(self, sql: str, result: str) -> int:
        """Run a statement into a table of its own, and return its number of rows. Raises QueryFailedError."""
        translated = translate(sql)
        try:
            with self._lock:
                self._database.execute(f"create table {result} as {translated}")
                return self._database.execute(f"select count(*) from {result}").fetchone()[0]
        except duckdb.Error as error:
            raise QueryFailedError(str(error).splitlines()[0]) from error

    def page(self, result: str, first: int, last: int) -> tuple[list[str], list[str], list[list[Any]]]:
        """Names, types and rows of a result, from row `first` up to `last`; `__row_index` counts them."""
        with self._lock:
            found = self._database.execute(
                f"select *, rowid as __row_index from {result} where rowid >= {first} and rowid < {last} order by rowid"
            )
            names = [column[0] for column in found.description]
            kinds = [str(column[1]).lower() for column in found.description]
            return names, kinds, [[_plain(value) for value in row] for row in found.fetchall()]

    def drop(self, result: str) -> None:
        """Forget a result."""
        with self._lock:
            self._database.execute(f"drop table if exists {result}")

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def translate(sql: str) -> str:
    """One of Snowflake's select statements in DuckDB's SQL.

    Raises QueryFailedError for anything else, and where DuckDB has no equal of a function: a near one would give
    other rows than the service.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="snowflake") if tree is not None]
        if len(trees) != 1 or not isinstance(trees[0], sqlglot.exp.Query):
            raise QueryFailedError("SQL compilation error: write one select statement")
        return trees[0].sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise QueryFailedError(f"SQL compilation error: {' '.join(str(error).split())[:200]}") from error


def _plain(value: Any) -> Any:
    """A value as JSON has it: times and dates as text."""
    return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else str(value) if _is_other(value) else value


def _is_other(value: Any) -> bool:
    return not isinstance(value, str | int | float | bool | None)

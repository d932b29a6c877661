"""Large tables partitioned by symbol: each piece holds all rows of some symbols, in temporary files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cortex.domains.domain import Workspace
from cortex.domains.markets.account import Column, shortened
from cortex.domains.markets.checks import OHLC
from cortex.domains.markets.csv_file import plain_name
from cortex.domains.markets.file_checks import check_numbers, check_zones, merge_symbols
from cortex.domains.markets.file_list import stem_of
from cortex.domains.markets.numbers import shows_decimal_point
from cortex.domains.markets.symbols import spelled, symbol_of
from cortex.domains.markets.table_file import (
    TIME_NAMES,
    Piece,
    TableFile,
    kind_of,
    known_names,
    read_metric,
    read_symbols,
    read_table,
)
from cortex.errors import DataError

_PIECE = "_piece of the kit"
_PLACE = "_row of the kit"
_HEAD_ROWS = 1000
_TEXT = (pl.String, pl.Categorical, pl.Enum)


@dataclass(frozen=True)
class LargeFile:
    """A parquet file whose rows can be read without one another, and what is known of all of them."""

    path: Path
    number: int
    schema: dict[str, pl.DataType]
    rows: int
    symbol_column: str | None
    roles: dict[str, Column]
    """See `Piece.roles`."""

    @property
    def symbol(self) -> str:
        """The symbol of a file without a column of symbols."""
        return symbol_of(stem_of(self.path))

    def table(self, cells: pl.DataFrame, places: pl.Series) -> TableFile:
        """Some of the rows."""
        return read_table(self.path, self.symbol, self.number, Piece(cells, places, self.roles))

    def column_rows(self, metric: str, names: dict[str, str]) -> pl.DataFrame:
        """All rows, with no metric but one, and symbols under their common names."""
        others = {column for column, role in self.roles.items() if role.role == "metric"}
        kept = [
            column
            for column, name in known_names(list(self.schema), self.path.name).items()
            if column not in self.roles or _is_timed(column) or (column in others and name == metric)
        ]
        cells = pl.read_parquet(self.path, columns=kept, glob=False)
        rows = self.table(cells, pl.int_range(len(cells), dtype=pl.UInt32, eager=True)).rows
        return rows.with_columns(spelled(rows["symbol"], names))


@dataclass(frozen=True)
class Partition:
    """Files whose rows lie in temporary files, piece by piece."""

    files: list[LargeFile]
    headers: list[TableFile]
    """Each file's columns, in place of rows its symbols alone."""
    names: dict[str, str]
    """The common name of each symbol with several spellings."""
    notes: tuple[str, ...]
    """Notes on symbols with several spellings."""
    count: int
    folder: Path

    def take(self, number: int, piece: int) -> TableFile | None:
        """Take a piece's rows of a file, symbols under their common names; None where there are none."""
        parts = sorted(self.folder.glob(f"file-{number}-piece-{piece}-*.arrow"))
        if not parts:
            return None
        cells = pl.concat([pl.read_ipc(part) for part in parts])
        table = self.files[number].table(cells.drop(_PLACE), cells[_PLACE])
        for part in parts:
            part.unlink()
        return replace(table, rows=table.rows.with_columns(spelled(table.rows["symbol"], self.names)))


def partition(files: Sequence[Path], workspace: Workspace) -> Partition | None:
    """Partition files by symbol; None where they fit in one piece, or where rows cannot be read one by one.

    That they can be in parquet files with dates or datetimes for times, and numbers. How a column of text is to be read
    is known only once all of it has been read. Raises DataError for files that cannot be read.
    """
    folder = workspace.scratch
    if folder is None or any(kind_of(file) != ".parquet" for file in files):
        return None
    try:
        sizes = [int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()) for file in files]
    except (OSError, pl.exceptions.PolarsError):
        return None  # reading it whole says what is wrong with it
    if sum(sizes) <= workspace.piece_rows:
        return None
    try:
        opened = [_open(*numbered, rows) for numbered, rows in zip(enumerate(files), sizes, strict=True)]
        large = [file for file in opened if file]
        return _partition(large, folder, workspace) if len(large) == len(files) else None
    except (OSError, pl.exceptions.PolarsError) as error:
        names = shortened([file.name for file in files], 2)
        raise DataError(f"{names}: cannot be read in pieces: {_one_line(error)}: write the file again") from error


def _one_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _open(number: int, path: Path, rows: int) -> LargeFile | None:
    """Find out what is known only of a whole file. None for a file whose rows cannot be read one by one."""
    schema = dict(pl.read_parquet_schema(path))
    names = known_names(list(schema), path.name)
    timed = [column for column in schema if _is_timed(column)]
    symbol_column = next((column for column, name in names.items() if name == "symbol"), None)
    numbers = [column for column, name in names.items() if name in OHLC]
    plain = (
        rows > 0
        and _PLACE not in schema
        and all(isinstance(schema[column], pl.Date | pl.Datetime) for column in timed)
        and all(schema[column].is_numeric() for column in numbers)
    )
    if not plain:
        return None
    others = [column for column in schema if column != symbol_column and column not in numbers]
    roles = _roles(path, {column: schema[column] for column in others})
    return None if roles is None else LargeFile(path, number, schema, rows, symbol_column, roles)


def _is_timed(column: str) -> bool:
    return any(plain_name(column) in ranked for ranked in TIME_NAMES)


def _roles(path: Path, others: dict[str, pl.DataType]) -> dict[str, Column] | None:
    """The roles of columns, each read alone; None where a column of text may hold numbers."""
    scan = pl.scan_parquet(path, glob=False)
    roles: dict[str, Column] = {}
    texts = [column for column, dtype in others.items() if isinstance(dtype, _TEXT)]
    comma_groups = any(shows_decimal_point(scan.select(column).collect().to_series()) for column in texts)
    for column, dtype in others.items():
        if column in texts:
            found, why = read_metric(scan.select(column).collect().to_series(), comma_groups, path.name)
            if found is not None:
                return None
        elif dtype.is_numeric():
            given = (
                scan.select(pl.col(column).cast(pl.Float64).fill_nan(None).count()).collect(engine="streaming").item()
            )
            found, why = (True, "numbers") if given else (None, "no values")
        else:
            found, why = read_metric(pl.Series(column, [], dtype), False, path.name)
        roles[column] = Column(column, "left out" if found is None else "metric", why, path.name)
    return roles


def _partition(files: list[LargeFile], folder: Path, workspace: Workspace) -> Partition:
    headers: list[TableFile] = []
    for file in files:
        head = pl.read_parquet(file.path, n_rows=_HEAD_ROWS, glob=False)
        table = file.table(head, pl.int_range(len(head), dtype=pl.UInt32, eager=True))
        headers.append(replace(table, rows=_count_symbols(file)))
    check_numbers([stem_of(file.path) for file, table in zip(files, headers, strict=True) if not table.names_symbols])
    check_zones(headers)
    merged, notes = merge_symbols(headers)
    found = {
        raw: name
        for before, after in zip(headers, merged, strict=True)
        for raw, name in zip(before.rows["symbol"], after.rows["symbol"], strict=True)
    }
    sizes = pl.concat([table.rows for table in merged]).group_by("symbol").agg(pl.col("rows").sum()).sort("symbol")
    piece = ((pl.col("rows").cum_sum() - pl.col("rows")) // workspace.piece_rows).alias("piece")
    pieces = dict(sizes.select("symbol", piece.rle_id()).iter_rows())
    for number, file in enumerate(files):
        workspace.on_progress("reading", number, len(files))
        _write(file, {raw: pieces[name] for raw, name in found.items()}, folder, workspace.piece_rows)
    names = {raw: name for raw, name in found.items() if raw != name}
    return Partition(files, merged, names, notes, max(pieces.values(), default=0) + 1, folder)


def _count_symbols(file: LargeFile) -> pl.DataFrame:
    """symbol, rows; rows without a symbol are left to the checks of their piece."""
    if file.symbol_column is None:
        return pl.DataFrame({"symbol": [file.symbol], "rows": [file.rows]})
    counts = pl.scan_parquet(file.path, glob=False).group_by(file.symbol_column).len("rows").collect(engine="streaming")
    symbols = read_symbols(counts[file.symbol_column], file.path.name).alias("symbol")
    return (
        counts.select(symbols, pl.col("rows").cast(pl.Int64)).drop_nulls().group_by("symbol").agg(pl.col("rows").sum())
    )


def _write(file: LargeFile, pieces: dict[str, int], folder: Path, most: int) -> None:
    """Distribute a file's rows: one temporary file for each piece and each slice of the file."""
    left_out = [column for column in file.roles if isinstance(file.schema[column], _TEXT)]
    scan = pl.scan_parquet(file.path, glob=False).drop(left_out)
    for number, start in enumerate(range(0, file.rows, most)):
        rows = scan.slice(start, most).collect()
        rows = rows.with_columns(pl.int_range(start, start + len(rows), dtype=pl.UInt32, eager=True).alias(_PLACE))
        symbols = (
            pl.repeat(file.symbol, len(rows), dtype=pl.String, eager=True)
            if file.symbol_column is None
            else read_symbols(rows[file.symbol_column], file.path.name)
        )
        of = symbols.replace_strict(pieces, default=0, return_dtype=pl.UInt32).alias(_PIECE)
        for (piece,), part in rows.with_columns(of).partition_by(_PIECE, as_dict=True, include_key=False).items():
            path = folder / f"file-{file.number}-piece-{piece}-{number:06}.arrow"
            try:
                part.write_ipc(path)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise DataError(f"{path} cannot be written: {_one_line(error)}; free space, then try again") from error

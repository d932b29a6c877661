"""Reading CSV files of any usual encoding, separator and preamble; an error names the line at fault."""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from cortex.domains.markets.account import quoted
from cortex.errors import DataError

_OTHER_KINDS = {
    b"PAR1": "a parquet file",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SEPARATORS = (",", ";", "\t", "|")
_PREAMBLE_LINES = 40
"""Lines searched for the column names: exports put titles, addresses and licences above them."""

_LARGEST = 4 * 2**30
"""Bytes of text decompressed from a gzip file at most: a small file can expand beyond the memory."""


@dataclass(frozen=True)
class CsvFile:
    """A file's cells as they are written."""

    cells: pl.DataFrame
    """One text column for each name; an empty cell is null."""
    notes: tuple[str, ...]
    """Notes on parts of the file outside the table."""


@dataclass(frozen=True)
class _Header:
    names: list[str]
    separator: str
    line: int
    """Number of the header's line, from 1."""


def read_csv(file: Path, known_names: frozenset[str]) -> CsvFile:
    """The cells of a CSV file, plain or gzipped, in UTF-8 or UTF-16, separated by comma, semicolon, tab or bar.

    Its header is the first line with one of `known_names` (letters and digits only, lower case); lines above it are
    left out, and noted. Raises DataError, naming the line, for whatever is no such table.
    """
    text = _decode(file)
    lines = text.split("\n", _PREAMBLE_LINES)[:_PREAMBLE_LINES]
    header = _find_header(lines, known_names, file)
    notes = [
        f"line {number} left out: {quoted(line.strip())}"
        for number, line in enumerate(lines[: header.line - 1], 1)
        if line.strip()
    ]
    body = text.split("\n", header.line)[header.line] if text.count("\n") >= header.line else ""
    _check_widths(body, header, file)
    body = _without_blank_lines(body)
    cells = _read_cells(body, header, file)
    empty = pl.all_horizontal(pl.all().is_null())
    kept = cells.filter(~empty)
    if len(kept) < len(cells):
        notes.append(f"{len(cells) - len(kept):,} rows of empty cells left out")
    return CsvFile(kept, tuple(notes))


def plain_name(name: str) -> str:
    """Letters and digits of a column's name in lower case, by which the usual names are known."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _decode(file: Path) -> str:
    data = file.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(_LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{file}: cannot be read as gzip: {error}: write the file again") from error
        if len(data) > _LARGEST:
            raise DataError(f"{file}: unpacks to more than {_LARGEST // 2**30} GiB: split it, or give parquet")
    for magic, kind in _OTHER_KINDS.items():
        if data.startswith(magic):
            raise DataError(f"{file}: cannot be read as csv: it is {kind}: name it so, or export it as CSV")
    if not data.strip():
        raise DataError(f"{file}: cannot be read as csv: it is empty: write the file again")
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    head = data[:4096]
    if encoding == "utf-8" and len(head) > 1 and head.count(0) >= len(head) // 3:
        encoding = "utf-16-be" if head[0] == 0 else "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{file}: line {line} is not {encoding.upper()} text: save the file as UTF-8") from error
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{file}: line {line} holds a NUL byte: the file is damaged, or no text: write it again")
    return text


def _find_header(lines: list[str], known_names: frozenset[str], file: Path) -> _Header:
    separators: tuple[str, ...] = _SEPARATORS
    first: _Header | None = None
    for number, line in enumerate(lines, 1):
        plain = line.strip()
        if plain.strip('"').lower().startswith("sep=") and len(plain.strip('"')) <= 5:
            separators = (line.strip().strip('"')[4:] or "\t",)
            continue
        for separator in separators:
            names = _split(plain.lstrip("# ") if plain.startswith("#") else line, separator, number, file)
            if any(plain_name(name) in known_names for name in names):
                return _Header(names, separator, number)
            usable = plain and not plain.startswith("#") and (len(names) > 1 or "://" not in plain)
            if usable and (first is None or (first.line == number and len(names) > len(first.names))):
                first = _Header(names, separator, number)
    if first is None:
        raise DataError(f"{file}: has no line of column names: write one such as date,open,high,low,close")
    if len(first.names) > 1 and all(_is_value(name) for name in first.names):
        raise DataError(
            f"{file}: line {first.line} holds values where the column names should be: write a line of names above it, "
            "such as date,open,high,low,close"
        )
    return first


def _is_value(name: str) -> bool:
    return not name.strip() or name.strip()[:1].isdigit()


def _split(line: str, separator: str, number: int, file: Path) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error as error:
        raise DataError(f"{file}: line {number}: {error}: write the file again") from error


def _check_widths(body: str, header: _Header, file: Path) -> None:
    """Refuse a line with more or fewer values than there are names: a file that was cut off, or a stray separator."""
    width = len(header.names)
    if '"' in body:
        rows = csv.reader(io.StringIO(body, newline=""), delimiter=header.separator, strict=True)
        try:
            for row in rows:
                if len(row) != width and row:
                    _refuse_width(len(row), header.line + rows.line_num, width, file)
        except csv.Error as error:
            raise DataError(
                f"{file}: cannot be read as csv: line {header.line + rows.line_num}: {error}: close its quotes"
            ) from error
        return
    for number, line in enumerate(body.split("\n"), header.line + 1):
        if line.count(header.separator) != width - 1 and line.strip():
            _refuse_width(line.count(header.separator) + 1, number, width, file)


def _refuse_width(found: int, line: int, width: int, file: Path) -> None:
    raise DataError(
        f"{file}: cannot be read as csv: line {line} has {found} values for {width} columns: complete or correct it"
    )


def _without_blank_lines(body: str) -> str:
    """The text without blank lines, which are no rows. If it has quotes, blank lines may be part of a cell: then only
    those at the top go, from which polars would conclude that there is one column."""
    if '"' in body:
        return body.lstrip("\n")
    return "\n".join(line for line in body.split("\n") if line.strip())


def _read_cells(body: str, header: _Header, file: Path) -> pl.DataFrame:
    # Names may repeat, and are checked later; numbers stand in for them here.
    schema = {str(index): pl.String for index in range(len(header.names))}
    if not body.strip():
        cells = pl.DataFrame(schema=schema)
    else:
        cells = pl.read_csv(
            body.encode(), has_header=False, separator=header.separator, schema=schema, infer_schema=False
        )
    twice = {name for name in header.names if header.names.count(name) > 1}
    if twice:
        raise DataError(f"{file}: column {quoted(min(twice))} stands twice in line {header.line}: keep one")
    return cells.rename(dict(zip(cells.columns, header.names, strict=True)))

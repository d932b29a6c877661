"""Names of assets: spellings that differ in case or blanks are one asset, and so are the parts of one history."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

from cortex.domains.markets.account import quoted

_DATE = r"(?:19|20)\d{2}(?:[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))?)?"
_PART = re.compile(rf"(?:[-_. ]+(?:to[-_. ])?{_DATE}|[-_. ]+(?:part|p|chunk)[-_. ]?\d+)+$", re.IGNORECASE)
_NUMBER = re.compile(r"(?:[-_. ]+\d+| *\(\d+\))$")


def symbol_of(stem: str) -> str:
    """The asset of a file without a symbol column: the file's stem in capitals, without a date or part at its end.

    So `btc-2023` and `btc-2024` are parts of one history of BTC.
    """
    return (_PART.sub("", stem) or stem).strip().upper()


def numbered_alike(symbols: Sequence[str]) -> tuple[str, str] | None:
    """Two symbols that differ in nothing but a bare number at their end, such as `BTC_1` and `BTC_2`."""
    first: dict[str, str] = {}
    for symbol in symbols:
        base = _NUMBER.sub("", symbol).casefold()
        if base in first:
            return first[base], symbol
        first[base] = symbol
    return None


def merge_spellings(symbols: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The common name of each symbol with several spellings, and a note on each."""
    spellings: dict[str, list[str]] = {}
    for symbol in sorted(symbols):
        spellings.setdefault(symbol.casefold(), []).append(symbol)
    several = [alike for alike in spellings.values() if len(alike) > 1]
    names = {symbol: alike[0].upper() for alike in several for symbol in alike}
    notes = tuple(f"{' and '.join(map(quoted, alike))} are read as {alike[0].upper()}" for alike in several)
    return names, notes


def find_symbols(wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """The wanted symbols in the data's spelling; symbols that the data lacks stay as they are."""
    by_fold = {symbol.casefold(): symbol for symbol in found}
    return [by_fold.get(symbol.strip().casefold(), symbol) for symbol in wanted]


def spelled(symbols: pl.Series, names: dict[str, str]) -> pl.Series:
    """A column of symbols under the names of `merge_spellings`."""
    return symbols.replace(names) if names else symbols

"""Statements: files of SQL with parameters."""

import datetime as dt

import polars as pl
import pytest

from cortex.domains.markets.live.assets import NATIVES, TOKENS, assets_of
from cortex.domains.markets.live.statement import FOLDER, read_statement

SPAN = {"start": dt.date(2022, 1, 1), "end": dt.date(2023, 1, 1)}
COLUMNS = {"date": pl.String()}


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.sql")), ids=lambda file: file.stem)
def test_every_file_can_be_filled_in(file) -> None:
    text = read_statement(file.stem, COLUMNS, natives=("NEAR",), tokens=(), **SPAN).text
    assert "'2022-01-01'" in text and "'2023-01-01'" in text
    assert ":" not in text and "--" not in text


def test_values_are_quoted_and_an_empty_list_matches_nothing() -> None:
    text = read_statement("crosschain_prices", COLUMNS, natives=("a'b", "c"), tokens=(), **SPAN).text
    assert "in ('a''b', 'c')" in text and "in ('')" in text


def test_a_parameter_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="natives"):
        read_statement("crosschain_prices", COLUMNS, **SPAN)


def test_the_key_depends_on_text_columns_and_service() -> None:
    one = read_statement("near_metrics", COLUMNS, **SPAN)
    later = read_statement("near_metrics", COLUMNS, **(SPAN | {"end": dt.date(2023, 1, 2)}))
    wider = read_statement("near_metrics", COLUMNS | {"fees": pl.Float64()}, **SPAN)
    keys = {one.key("a"), one.key("b"), later.key("a"), wider.key("a")}
    assert len(keys) == 4 and read_statement("near_metrics", COLUMNS, **SPAN).key("a") in keys


def test_there_are_more_than_thirty_assets_each_named_once() -> None:
    every = NATIVES + TOKENS
    assert len(every) > 30 and len({asset.symbol for asset in every}) == len({asset.key for asset in every}) == len(
        every
    )
    assert [asset.symbol for asset in assets_of(("near", "solana"), tokens=False)] == ["NEAR", "SOL"]
    assert {asset.chain for asset in assets_of(("solana",), tokens=True)} == {"solana"}

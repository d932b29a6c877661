"""The card beside a dataset says whose the data are, their spans and base rates, the mix, and what they cannot show."""

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.dataset import build_dataset, read_description, read_split
from cortex.domains.dataset_card import CARD, column_meanings, dataset_card
from cortex.domains.domain import Built
from cortex.domains.markets.data_terms import market_words
from cortex.domains.mixture import read_described
from cortex.settings import Settings
from examples.domains.tally import Tally

ECB: dict[str, Any] = {"kind": "markets", "source": {"kind": "ecb", "pairs": ["EUR/USD", "GBP/JPY"]}, "horizon_bars": 5}


def card_of(values: dict[str, Any], folder: Path) -> str:
    build_dataset(read_described(values), 0, Settings(), folder)
    return (folder / CARD).read_text(encoding="utf-8")


def test_a_card_has_sources_spans_base_rates_mix_and_limits(tmp_path: Path) -> None:
    values = {**ECB, "mixing": {"half_life_days": 2000.0, "shares": {"trend": "equal"}}}
    card, described = card_of(values, tmp_path / "one"), read_description(tmp_path / "one")
    assert "Source: ECB statistics. The European Central Bank allows reuse" in card and "Simulated" not in card
    for name, split in described["splits"].items():
        row = f"| {name} | {split['examples']:,} | {split['first']} | {split['last']} | {split['up_rate']:.1%} |"
        assert row in card
    account = described["mixing"]["markets"]
    assert f"{account['drawn']:,} of {account['training']:,} training examples" in card
    assert "nobody could trade at it" in card and "| `mom7` | 7-fixing momentum" in card
    assert card == card_of(values, tmp_path / "two"), "equal datasets have equal cards"


def test_every_column_is_told(tmp_path: Path) -> None:
    build_dataset(domain := read_described(ECB), 0, Settings(), tmp_path / "data")
    columns = read_split(tmp_path / "data", "test").columns
    assert set(column_meanings(domain, read_description(tmp_path / "data"))) == set(columns)


def test_each_domain_has_its_own_part(tmp_path: Path) -> None:
    card = card_of({**ECB, "horizon_bars": [1, 5]}, tmp_path / "data")
    for heading in ("## markets-1b", "## markets-5b"):
        assert f"\n{heading}\n" in card
    assert "Left out, since outcomes overlap another domain's held-out times" in card
    assert "| `markets-1b/outcome` |" in card


def test_a_gym_says_whose_generators_drew_its_problems() -> None:
    [source] = read_described({"kind": "gym"}).data_words({"source": {"name": "gym"}}).sources
    assert source.name == "reasoning-gym" and "Apache-2.0" in source.terms


@pytest.mark.parametrize(
    ("source", "sources", "limit"),
    [
        ({"name": "simulator"}, ["simulator"], None),
        ({"name": "files"}, ["files"], "survivorship"),
        (
            {"name": "public", "exchange": "kraken", "metrics": ["tvl"]},
            ["kraken, by ccxt", "DefiLlama"],
            "survivorship",
        ),
        ({"name": "public", "exchange": "kraken", "metrics": []}, ["kraken, by ccxt"], "survivorship"),
        ({"name": "dune"}, ["Dune"], "revised"),
        ({"name": "flipside", "warehouse": None}, ["Flipside"], "revised"),
        ({"name": "flipside", "warehouse": {"name": "simulator"}}, ["simulator"], "stand-in"),
        ({"name": "ecb", "credit": "Source: X", "signal": {"flow": 1}}, ["European Central Bank"], "planted"),
        ({"name": "of tomorrow"}, ["of tomorrow"], None),
    ],
)
def test_the_terms_are_those_of_the_source_that_made_the_rows(
    source: Any, sources: list[str], limit: str | None
) -> None:
    words = market_words(source, [])
    assert len(words.sources) == len(sources)
    assert all(one.name.startswith(name) for one, name in zip(words.sources, sources, strict=True))
    assert limit is None or any(limit in each for each in words.limits)


def test_words_of_others_make_no_markup() -> None:
    built = Tally(kind="tally").build(0, Settings())
    hostile = Built(built.examples, {"name": "<script>x</script>[a](http://b)`"}, simulated=False, summary="# Free |")
    first, last = dt.date(2020, 1, 1), dt.date(2020, 1, 2)
    split = {"examples": 1, "first": first, "last": last, "rate": 0.25}
    card = dataset_card(Tally(kind="tally"), {**hostile.description(), "splits": {"train": split}})
    told, origin = card.split("## Origin")
    assert "<script>" not in told and "[a](" not in told and "| train | 1 | 2020-01-01" in told
    assert origin.count("<script>") == 1 and "``" in origin, "as code, in a fence longer than any in it"


def test_a_domain_of_ones_own_says_that_its_terms_are_not_known() -> None:
    built = Tally(kind="tally").build(0, Settings())
    assert isinstance(built.examples, pl.DataFrame)
    [source] = Tally(kind="tally").data_words(built.description()).sources
    assert source.name == "tally" and "not known here" in source.terms

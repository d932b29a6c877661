"""Amounts, objectives and levels that users write: read exactly, or refused with the fix."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.benching.amounts_text import plain, read_dollars, read_share, read_speed, read_tokens
from cortex.benching.load_levels import Level, read_concurrencies, read_rates
from cortex.benching.slo import Objective, read_objective

READERS: tuple[Callable[[str], object], ...] = (
    read_dollars,
    read_share,
    read_speed,
    read_tokens,
    read_concurrencies,
    read_rates,
    read_objective,
)


@pytest.mark.parametrize(
    ("text", "amount"), [("12.50", "12.5"), ("$3", "3"), ("0", "0"), ("1e3", "1000"), ("0.000001", "0.000001")]
)
def test_dollars_are_exact(text: str, amount: str) -> None:
    assert read_dollars(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "count"),
    [("250M", 250_000_000), ("1.5B", 1_500_000_000), ("10k", 10_000), ("1e9", 10**9), ("2 T", 2 * 10**12)],
)
def test_tokens_have_units(text: str, count: int) -> None:
    assert read_tokens(text) == count


@pytest.mark.parametrize(("text", "share"), [("0.5", "0.5"), ("50%", "0.5"), ("1", "1"), ("100%", "1")])
def test_shares_may_be_percentages(text: str, share: str) -> None:
    assert read_share(text) == Decimal(share)


def test_an_objective_has_units() -> None:
    assert read_objective("ttft=500ms, itl=50.5ms,e2e=3s") == Objective(0.5, 0.0505, 3.0)


def test_levels_rise() -> None:
    assert read_concurrencies("1, 8").steps == (Level(concurrency=1), Level(concurrency=8))
    assert read_rates("0.5,2").steps == (Level(rate=0.5), Level(rate=2.0))


@pytest.mark.parametrize(
    "text", ["", " ", "nan", "inf", "-1", "1_000", "0x10", "١", "1e999", "9" * 400, "=", "1;2", "ttft"]
)
@pytest.mark.parametrize("read", READERS)
def test_what_is_no_amount_is_refused_by_all(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError, match=r"write|give") as caught:
        read(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (read_tokens, "0", "from 1 on"),
        (read_tokens, "1.5", "whole"),
        (read_tokens, "250Q", "unknown unit 'Q': write k, M, B or T"),
        (read_tokens, "250m", "unknown unit 'm'"),
        (read_share, "0", "above 0"),
        (read_share, "1.01", "up to 1"),
        (read_share, "101%", "up to 1"),
        (read_speed, "0", "above 0"),
        (read_dollars, "1e13", "no amount"),
        (read_objective, "ttft=5", "unknown unit '': write ms or s, as in ttft=500ms"),
        (read_objective, "ttft=5m", "unknown unit 'm'"),
        (read_objective, "tpot=5ms", "unknown 'tpot': known are ttft, itl, e2e"),
        (read_objective, "ttft=0ms", "a bound of 0"),
        (read_objective, "ttft=5ms,ttft=6ms", "twice"),
        (read_concurrencies, "4,2", "does not rise"),
        (read_concurrencies, "2,2", "does not rise"),
        (read_concurrencies, "0", "from 1 to"),
        (read_concurrencies, "1.5", "whole"),
        (read_rates, "0", "above 0"),
        (read_rates, ",".join(map(str, range(1, 99))), "at most 64"),
    ],
)
def test_the_message_says_what_to_write(read: Callable[[str], object], text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)


@given(
    read=st.sampled_from(READERS), text=st.text(max_size=60) | st.text("0123456789.,eE+-kMBT%$= mstfil", max_size=20)
)
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert str(error)


@given(st.decimals(0, 10**12, places=6))
def test_an_amount_is_written_as_it_is_read(amount: Decimal) -> None:
    assert read_dollars(plain(amount)) == amount

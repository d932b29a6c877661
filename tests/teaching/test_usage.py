from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.teaching.purse import Bill, Purse
from cortex.teaching.usage import Price, Usage, read_usage


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 5, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}, Usage(10, 105, 0)),  # Gemini's thoughts
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(10, 5, 8)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5, 0)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 7}, Usage(10, 5, 7)),  # DeepSeek
        ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 12}, Usage(10, 5, 10)),  # Kimi
        ({"prompt_tokens": 10}, None),
        ({"prompt_tokens": -1, "completion_tokens": 5}, None),
        ({"prompt_tokens": 1.5, "completion_tokens": 5}, None),
        ({"prompt_tokens": True, "completion_tokens": 5}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage_is_read_as_each_provider_reports_it(usage: Any, expected: Usage | None) -> None:
    assert read_usage({"usage": usage}) == expected


def test_cached_input_has_its_own_price() -> None:
    price = Price(Decimal("0.55"), Decimal("2.19"), Decimal("0.14"))
    assert price.dollars(Usage(1_000_000, 0, 400_000)) == Decimal("0.33") + Decimal("0.056")
    assert Price(Decimal("0.55"), Decimal("2.19")).dollars(Usage(1_000_000, 1, 400_000)) == Decimal("0.55000219")


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=50))
def test_a_sum_of_bills_is_the_bill_of_the_sum(replies: list[tuple[int, int]]) -> None:
    price, purse = Price(Decimal("0.1"), Decimal("0.3")), Purse()
    for usage in (Usage(*counts) for counts in replies):
        purse.pay(Bill("p", usage, price.dollars(usage)))
    whole = Usage(sum(count for count, _ in replies), sum(count for _, count in replies))
    assert purse.dollars == price.dollars(whole) and purse.tokens == whole.total

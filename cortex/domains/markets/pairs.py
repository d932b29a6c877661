"""Currency pairs: how they are written, and the usual ones."""

import re

MAJORS = (
    "EUR/USD", "EUR/JPY", "EUR/GBP", "EUR/CHF", "USD/JPY", "GBP/USD",
    "USD/CHF", "AUD/USD", "USD/CAD", "NZD/USD", "USD/SEK", "USD/NOK",
)  # fmt: skip
"""Pairs of currencies that trade every working day."""

EURO = "EUR"
"""The currency that the reference rates are of."""

_PAIR = re.compile(r"([A-Za-z]{3})[/_-]?([A-Za-z]{3})")


def read_pair(text: str) -> tuple[str, str]:
    """The two currencies of a pair, from `EUR/USD`, `eurusd` or `EUR-USD`.

    Raises:
        ValueError: the text has another form, or names one currency twice.
    """
    match = _PAIR.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is no pair: write two currencies of three letters, such as EUR/USD")
    one, other = match[1].upper(), match[2].upper()
    if one == other:
        raise ValueError(f"{text!r} names {one} twice: a pair has two currencies")
    return one, other

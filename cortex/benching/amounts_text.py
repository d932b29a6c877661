"""Dollars, counts and shares that users write, read exactly: as decimals, never as binary fractions."""

import re
from decimal import Decimal

MOST_DOLLARS = Decimal(10) ** 12
MOST_TOKENS = Decimal(10) ** 18

UNITS = {"": 0, "k": 3, "M": 6, "B": 9, "T": 12}
"""Letters after a count, and the power of ten that each stands for."""

_NUMBER = r"[0-9]{1,24}(?:\.[0-9]{1,24})?(?:[eE]\+?[0-9]{1,2})?"


def read_dollars(text: str) -> Decimal:
    """An amount of dollars from 0 to `MOST_DOLLARS`, with or without a dollar sign.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(rf"\$?({_NUMBER})", text.strip())
    if not found or Decimal(found[1]) > MOST_DOLLARS:
        raise ValueError(
            f"{text[:60]!r} is no amount of dollars: write one from 0 to {MOST_DOLLARS:.0e}, such as 12.50"
        )
    return Decimal(found[1])


def read_tokens(text: str) -> Decimal:
    """A number of tokens from 1 to `MOST_TOKENS`: `250000`, `250k`, `1.5B`.

    Raises:
        ValueError: it is none, is 0, no whole number, or has an unknown unit.
    """
    found = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text.strip())
    if found and found[2] not in UNITS:
        raise ValueError(f"{text[:60]!r} has the unknown unit {found[2][:20]!r}: write k, M, B or T, as in 250M")
    count = Decimal(found[1]).scaleb(UNITS[found[2]]) if found else Decimal(0)
    if not 1 <= count <= MOST_TOKENS or count != count.to_integral_value():
        raise ValueError(f"{text[:60]!r} is no number of tokens: write a whole one from 1 on, such as 250000 or 250M")
    return count


def read_speed(text: str) -> Decimal:
    """Tokens a second, above 0.

    Raises:
        ValueError: it is no such number.
    """
    found = re.fullmatch(_NUMBER, text.strip())
    if not found or not 0 < Decimal(found[0]) <= MOST_TOKENS:
        raise ValueError(f"{text[:60]!r} is no speed: write tokens a second above 0, such as 1500")
    return Decimal(found[0])


def read_share(text: str) -> Decimal:
    """A share above 0 and up to 1: `0.5` or `50%`.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(rf"({_NUMBER})(%?)", text.strip())
    share = Decimal(found[1]) / (100 if found[2] else 1) if found else Decimal(0)
    if not 0 < share <= 1:
        raise ValueError(f"{text[:60]!r} is no share: write one above 0 and up to 1, such as 0.5 or 50%")
    return share


def plain(amount: Decimal, places: int = 6) -> str:
    """A decimal rounded to so many places, without an exponent and without trailing zeros."""
    text = f"{amount:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

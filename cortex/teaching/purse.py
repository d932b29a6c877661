"""Money and tokens that a teacher has cost, and the limits that no request may pass."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from cortex.teaching.usage import Usage


@dataclass(frozen=True)
class Bill:
    """Cost of a reply from one provider, or of several."""

    provider: str
    usage: Usage
    dollars: Decimal
    replies: int = 1

    def __add__(self, other: "Bill") -> "Bill":
        return Bill(self.provider, self.usage + other.usage, self.dollars + other.dollars, self.replies + other.replies)


class Purse:
    """Bills so far by provider, against limits of dollars and tokens.

    Before a request its dearest outcome is set aside, so that the limits hold whatever the replies turn out to be. A
    provider that bills more tokens than it was asked for can pass them by the replies under way.
    """

    def __init__(self, dollars: Decimal | None = None, tokens: int | None = None) -> None:
        self._dollars, self._tokens = dollars, tokens
        self.bills: dict[str, Bill] = {}
        """The sum of each provider's bills."""
        self._held_dollars, self._held_tokens = Decimal(0), 0
        self._freed = asyncio.Condition()

    @property
    def dollars(self) -> Decimal:
        return sum((bill.dollars for bill in self.bills.values()), Decimal(0))

    @property
    def tokens(self) -> int:
        return sum(bill.usage.total for bill in self.bills.values())

    def resume(self, bills: Iterable[Bill]) -> None:
        """Take the bills of earlier attempts in place of those known; to be called before each event loop."""
        self._freed = asyncio.Condition()
        self.bills.clear()
        for bill in bills:
            self.pay(bill)

    def pay(self, bill: Bill) -> None:
        known = self.bills.get(bill.provider)
        self.bills[bill.provider] = known + bill if known else bill

    @asynccontextmanager
    async def holding(self, dollars: Decimal, tokens: int) -> AsyncGenerator[bool]:
        """Set an amount aside for a request; gives False if the limits have no room for it, with none under way.

        While requests under way may still free enough, it waits for them.
        """
        if self._dollars is None and self._tokens is None:
            yield True
            return
        async with self._freed:
            await self._freed.wait_for(lambda: self.fits(dollars, tokens) or not self._held_tokens)
            fits = self.fits(dollars, tokens)
            if fits:
                self._held_dollars += dollars
                self._held_tokens += tokens
        try:
            yield fits
        finally:
            if fits:
                async with self._freed:
                    self._held_dollars -= dollars
                    self._held_tokens -= tokens
                    self._freed.notify_all()

    def fits(self, dollars: Decimal, tokens: int) -> bool:
        """True if the limits leave room for so much beside what is set aside."""
        return (self._dollars is None or self.dollars + self._held_dollars + dollars <= self._dollars) and (
            self._tokens is None or self.tokens + self._held_tokens + tokens <= self._tokens
        )

    def describe(self) -> str:
        """The sums beside their limits, such as `$1.25 of $5.00, 120,000 tokens`."""
        words = [_money(self.dollars) + (f" of {_money(self._dollars)}" if self._dollars is not None else "")]
        words.append(f"{self.tokens:,}" + (f" of {self._tokens:,}" if self._tokens is not None else "") + " tokens")
        return ", ".join(words)


def _money(dollars: Decimal) -> str:
    """Dollars in cents, or in hundredths of cents below a dollar, where a small run ends."""
    return f"${dollars:,.2f}" if dollars >= 1 or not dollars else f"${dollars:.4f}"

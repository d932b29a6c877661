"""A server on loopback that answers as Coinbase's exchange and as DefiLlama do, with faults that a test sets."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.domains.markets.reply_server import Reply, replying

DAY = 86_400
FIRST = dt.datetime(2022, 1, 1, tzinfo=dt.UTC)
LISTED = {"BTC": 100.0, "ETH": 10.0, "NEAR": 1.0}
CHAINS = {"Bitcoin": 1e6, "Ethereum": 1e9, "Near": 1e5}
MOST_CANDLES = 300


@dataclass
class Services:
    """The services' state."""

    days: int = 700
    """Days of history; the last is not over."""
    factor: float = 1.0
    """A revision multiplies all of DefiLlama's values."""
    fault: Callable[[str, int], Reply | None] | None = None
    """The reply to the n-th request of a path, from 1; None lets it be answered."""
    url: str = ""
    requests: dict[str, int] = field(default_factory=dict[str, int])

    def answer(self, path: str, asked: Mapping[str, list[str]]) -> Reply:
        self.requests[path] = self.requests.get(path, 0) + 1
        fault = self.fault(path, self.requests[path]) if self.fault else None
        if fault:
            return fault
        words = path.strip("/").split("/")
        found: Any
        if path == "/products":
            found = [_product(base) for base in LISTED]
        elif path == "/currencies":
            found = [{"id": base, "name": base, "details": {}} for base in [*LISTED, "USD"]]
        elif words[0] == "products":
            found = self._candles(words[1].partition("-")[0], asked)
        elif words[-1] not in CHAINS:
            return Reply(404, b"{}")
        else:
            found = self._series(words[0], words[-1])
        return Reply(200, json.dumps(found).encode())

    def _candles(self, base: str, asked: Mapping[str, list[str]]) -> Any:
        """Newest first, as time, low, high, open, close, volume; never more than 300."""
        start, end = (dt.datetime.fromisoformat(asked[name][0]).timestamp() for name in ("start", "end"))
        step, first = int(asked["granularity"][0]), FIRST.timestamp()
        times = [
            int(time)
            for time in range(int(start), int(end) + 1, step)
            if first <= time < first + self.days * DAY and time % step == 0
        ]
        price = [LISTED[base] * (1 + (time // step) % 7 / 100) for time in times]
        rows = [[time, at * 0.9, at * 1.1, at, at * 1.01, 5.0] for time, at in zip(times, price, strict=True)]
        return rows[:MOST_CANDLES][::-1]

    def _series(self, kind: str, chain: str) -> Any:
        stamps = [int(FIRST.timestamp()) + number * DAY for number in range(self.days)]
        stamps[-1] += 3600  # the value of the current hour
        values = [CHAINS[chain] * self.factor * (1 + number % 5) for number in range(self.days)]
        pairs = list(zip(stamps, values, strict=True))
        if kind == "v2":
            return [{"date": stamp, "tvl": value} for stamp, value in pairs]
        if kind == "overview":
            return {"totalDataChart": [list(pair) for pair in pairs], "chain": chain}
        half = [{"peggedUSD": value / 2, "peggedEUR": value / 2} for value in values]
        return [{"date": str(stamp), "totalCirculatingUSD": each} for stamp, each in zip(stamps, half, strict=True)]


def _product(base: str) -> dict[str, Any]:
    return {
        "id": f"{base}-USD",
        "base_currency": base,
        "quote_currency": "USD",
        "quote_increment": "0.01",
        "base_increment": "0.0001",
        "display_name": f"{base}/USD",
        "min_market_funds": "1",
        "status": "online",
        "trading_disabled": False,
    }


@contextmanager
def serving_public() -> Iterator[Services]:
    """Serve on a free port until the block is left."""
    state = Services()

    def respond(path: str, headers: Message, body: Any) -> Reply:
        place = urlsplit(path)
        return state.answer(unquote(place.path), parse_qs(place.query))

    with replying(respond) as state.url:
        yield state

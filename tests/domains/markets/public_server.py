"""A server on loopback that answers as Coinbase's exchange and as DefiLlama do, with faults that a test sets."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

DAY = 86_400
FIRST = dt.datetime(2022, 1, 1, tzinfo=dt.UTC)
LISTED = {"BTC": 100.0, "ETH": 10.0, "NEAR": 1.0}
CHAINS = {"Bitcoin": 1e6, "Ethereum": 1e9, "Near": 1e5}
MOST_CANDLES = 300


class Reply(NamedTuple):
    """One HTTP reply."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


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

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            reply = state.answer(unquote(place.path), parse_qs(place.query))
            self.send_response_only(reply.status)
            usual = {"Content-Type": "application/json", "Date": self.date_time_string()}
            for name, value in {**usual, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()

"""Scenarios of Dune's client against a local server that speaks its protocol, in the data image's environment."""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loguru import logger
from pydantic import SecretStr

from cortex.domains.markets.config import DuneConfig
from cortex.domains.markets.dune import DuneSource
from cortex.domains.markets.live import pull
from cortex.errors import CortexError
from tests.domains.markets.reply_server import Reply, replying

TODAY = dt.date(2022, 3, 1)
KEY = "right"


@dataclass
class Dune:
    """The service's state: one saved query, whose number is 7."""

    rows: int = 3000
    factor: float = 1.0
    state: str = "QUERY_STATE_COMPLETED"
    expired: bool = False
    most_rows: int = 32_000
    fault: Callable[[str, int], Reply | None] | None = None
    """The reply to the n-th request of a kind (execute, status, results); None lets it be answered."""
    url: str = ""
    requests: dict[str, int] = field(default_factory=dict[str, int])
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])

    def answer(self, path: str, asked: Mapping[str, list[str]], body: Any, key: str | None) -> Reply:
        kind = path.rsplit("/", 1)[1]
        count = self.requests[kind] = self.requests.get(kind, 0) + 1
        fault = self.fault(kind, count) if self.fault else None
        refused = fault or self._refused(kind, path, key)
        if refused:
            return refused
        if kind == "execute":
            self.parameters = body["query_parameters"]
            return _json({"execution_id": f"e{count}", "state": "QUERY_STATE_PENDING"})
        if kind == "status":
            return _json(self._described())
        limit, offset = int(asked["limit"][0]), int(asked["offset"][0])
        if limit > self.most_rows:
            return Reply(413, b'{"error": "too large"}')
        rows = [self._row(number) for number in range(offset, min(offset + limit, self.rows))]
        return _json({**self._described(), "result": {"rows": rows, "metadata": self._metadata()}})

    def _refused(self, kind: str, path: str, key: str | None) -> Reply | None:
        if key != KEY:
            return Reply(401, b'{"error": "invalid API Key"}')
        if kind == "execute" and "/query/7/" not in path:
            return Reply(404, b'{"error": "Query not found"}')
        if kind != "execute" and self.expired:
            return Reply(404, b'{"error": "The requested execution ID is invalid."}')
        return None

    def _described(self) -> dict[str, Any]:
        stamp = "2022-03-01T00:00:00Z"
        common = {"execution_id": "e1", "query_id": 7, "state": self.state, "submitted_at": stamp}
        failed = {"error": {"type": "FAILED", "message": "line 1:8: Column 'x'\ncannot be resolved"}}
        return {
            **common,
            **(failed if self.state == "QUERY_STATE_FAILED" else {}),
            "execution_cost_credits": 1.5,
            "result_metadata": self._metadata(),
        }

    def _metadata(self) -> dict[str, Any]:
        names = ["symbol", "date", "open", "high", "low", "close", "fees"]
        sizes = dict.fromkeys(("result_set_bytes", "datapoint_count", "execution_time_millis"), 1)
        return {"column_names": names, "column_types": names, "total_row_count": self.rows, **sizes}

    def _row(self, number: int) -> dict[str, Any]:
        symbol, day = divmod(number, 1000)
        date = dt.date(2019, 1, 1) + dt.timedelta(days=day)
        price = (1 + number % 7) * self.factor
        return {
            "symbol": f"S{symbol}",
            "date": f"{date} 00:00:00.000 UTC",
            "open": price,
            "high": price,
            "low": price,
            "close": price,
            "fees": number,
        }


def _json(found: Any) -> Reply:
    return Reply(200, json.dumps(found).encode())


@contextmanager
def serving() -> Iterator[Dune]:
    state = Dune()

    def respond(path: str, headers: Message, body: Any) -> Reply:
        place = urlsplit(path)
        return state.answer(place.path, parse_qs(place.query), body, headers.get("x-dune-api-key"))

    with replying(respond) as state.url:
        yield state


def source(dune: Dune, folder: Path, key: str = KEY, query: int = 7, fresh: bool = False) -> DuneSource:
    config = DuneConfig(query=query, metrics=("fees",), start=dt.date(2019, 1, 1))
    return DuneSource(config, SecretStr(key), folder, TODAY, fresh, dune.url)


def tell(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except CortexError as error:
        return {"error": str(error), "code": error.exit_code}


def rows_and_revisions(folder: Path) -> Any:
    with serving() as dune:
        first = source(dune, folder)
        tables = first.load()
        assert tables.onchain is not None
        asked = dict(dune.requests)
        source(dune, folder).load()
        kept = dune.requests == asked
        dune.factor = 2.0
        anew = source(dune, folder, fresh=True)
        anew.load()
        return {
            "rows": tables.prices.height,
            "first": tables.prices.row(0),
            "fees": tables.onchain["fees"][1],
            "parameters": dune.parameters,
            "cost": first.pulls[0].cost,
            "made by": first.describe()["made_by"],
            "kept": kept,
            "revised": anew.pulls[0].revised,
        }


def faults(folder: Path) -> Any:
    pages: dict[str, Reply] = {
        "html": Reply(200, b"<html>Sign in</html>"),
        "null": Reply(200, b"null"),
        "half": Reply(200, b'{"execution_id": "e'),
        "other form": Reply(200, b'{"message": "moved"}'),
        "revoked": Reply(401, b'{"error": "invalid API Key"}'),
        "billing": Reply(402, b'{"error": "out of credits"}'),
        "clock": Reply(200, b"{}", {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}),
    }
    found: dict[str, Any] = {}
    for name, reply in pages.items():
        with serving() as dune:
            place = folder / name
            dune.fault = lambda kind, count, reply=reply: reply if kind == "results" and count > 2 else None
            told = tell(lambda dune=dune, place=place: source(dune, place).load().prices.height)
            dune.fault = None
            rows = source(dune, place).load().prices.height
            found[name] = {"told": told, "rows": rows, "runs": dune.requests["execute"]}
    return found


def limits(folder: Path) -> Any:
    with serving() as dune:
        dune.most_rows = 700
        dune.fault = lambda kind, count: Reply(429, b"{}", {"Retry-After": "1"}) if count == 1 else None
        return source(dune, folder).load().prices.height


def refusals(folder: Path) -> Any:
    found: dict[str, Any] = {}
    with serving() as dune:
        found["key"] = tell(lambda: source(dune, folder / "key", key="wrong").load())
        found["query"] = tell(lambda: source(dune, folder / "query", query=8).load())
        for state in ("FAILED", "COMPLETED_PARTIAL", "CANCELLED"):
            dune.state = f"QUERY_STATE_{state}"
            found[state] = tell(lambda state=state: source(dune, folder / state).load())
        dune.state, dune.expired = "QUERY_STATE_COMPLETED", True
        found["expired"] = tell(lambda: source(dune, folder / "expired").load())
    return found


def main() -> None:
    logger.remove()
    pull.PART_ROWS, pull.SMALLEST_PAGE = 1000, 250  # several parts of few rows
    with tempfile.TemporaryDirectory() as work:
        scenarios = (rows_and_revisions, faults, limits, refusals)
        found = {scenario.__name__: scenario(Path(work) / scenario.__name__) for scenario in scenarios}
    json.dump(found, sys.stdout, default=str)


if __name__ == "__main__":
    main()

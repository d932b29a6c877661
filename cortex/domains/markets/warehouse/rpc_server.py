"""Flipside's JSON-RPC on loopback, over the warehouse: runs, states, pages, limits and errors as the service's."""

import datetime as dt
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from cortex.domains.markets.warehouse.sql_engine import Engine, QueryFailedError

NOT_FOUND, NOT_FINISHED, TOO_LARGE, TOO_MANY, MALFORMED = -32099, -32151, -32170, -32171, -32000


@dataclass(frozen=True)
class Limits:
    """Limits of the service; what goes beyond is refused with the service's own codes."""

    page_rows: int = 100_000
    queries_at_once: int = 15
    query_seconds: float = float("inf")
    """Seconds of queries that are free: afterwards the service asks for a payment method (402)."""
    result_seconds: float = 86_400
    """Seconds until a result is forgotten."""
    key: str | None = None
    """The one key that is valid; None takes any."""


class Reply(NamedTuple):
    """An HTTP reply in place of the service's own."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


Fault = Callable[[str, int], Reply | None]
"""The fault of the n-th request of a method, from 1; None lets it be answered."""


@dataclass
class _Run:
    name: str
    sql: str
    created: dt.datetime
    state: str = "QUERY_STATE_RUNNING"
    ended: dt.datetime | None = None
    rows: int = 0
    error: str | None = None


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        self.code, self.message = code, message


@dataclass
class WarehouseServer:
    """The server's state. Limits and faults may be changed at any time."""

    engine: Engine
    limits: Limits = field(default_factory=Limits)
    fault: Fault | None = None
    url: str = ""
    requests: dict[str, int] = field(default_factory=dict[str, int])
    """Requests of each method so far."""
    _runs: dict[str, _Run] = field(default_factory=dict[str, _Run])
    _spent: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "warehouse"))

    def answer(self, request: Mapping[str, Any], key: str | None) -> Reply:
        """The reply to one request."""
        method = str(request.get("method"))
        with self._lock:
            count = self.requests[method] = self.requests.get(method, 0) + 1
        fault = self.fault(method, count) if self.fault else None
        if fault:
            return fault
        if self.limits.key is not None and key != self.limits.key:
            return Reply(401, b'{"message": "Unauthorized"}')
        if self._spent > self.limits.query_seconds and method == "createQueryRun":
            return Reply(402, b'{"message": "Payment required: add a payment method"}')
        calls = {
            "createQueryRun": self._create,
            "getQueryRun": self._state,
            "getQueryRunResults": self._page,
            "cancelQueryRun": self._cancel,
        }
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": request.get("id", 1)}
        try:
            if method not in calls:
                raise _RpcError(MALFORMED, f"no method {method}")
            body["result"] = calls[method](request["params"][0])
        except _RpcError as error:
            body["error"] = {"code": error.code, "message": error.message}
        except (KeyError, IndexError, TypeError) as error:
            body["error"] = {"code": MALFORMED, "message": f"malformed request: {error!r}"}
        return Reply(200, json.dumps(body).encode())

    def _create(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if sum(run.state == "QUERY_STATE_RUNNING" for run in self._runs.values()) >= self.limits.queries_at_once:
                raise _RpcError(TOO_MANY, "max concurrent queries reached")
            run = _Run(f"run_{uuid.uuid4().hex}", str(asked["sql"]), _now())
            self._runs[run.name] = run
        self._pool.submit(self._execute, run)
        asked_by = {"id": f"q-{run.name}", "sqlStatementId": f"s-{run.name}", "userId": "local", "tags": {}}
        times = {"createdAt": _stamp(run.created), "updatedAt": _stamp(run.created)}
        kept = {"maxAgeMinutes": asked["maxAgeMinutes"], "resultTTLHours": asked["resultTTLHours"]}
        request = {
            **asked_by,
            **kept,
            "userSkipCache": True,
            "triggeredQueryRun": True,
            "queryRunId": run.name,
            **times,
        }
        statement = {"id": f"s-{run.name}", "statementHash": run.name, "sql": run.sql, "userId": "local", "tags": {}}
        return {"queryRequest": request, "queryRun": _described(run), "sqlStatement": {**statement, **times}}

    def _execute(self, run: _Run) -> None:
        began = time.monotonic()
        try:
            run.rows = self.engine.run(run.sql, run.name)
            state = "QUERY_STATE_SUCCESS"
        except QueryFailedError as error:
            run.error, state = str(error), "QUERY_STATE_FAILED"
        with self._lock:
            self._spent += time.monotonic() - began
            run.ended = _now()
            if run.state == "QUERY_STATE_RUNNING":
                run.state = state

    def _find(self, asked: Mapping[str, Any]) -> _Run:
        run = self._runs.get(str(asked["queryRunId"]))
        if run is None or (run.ended and (_now() - run.ended).total_seconds() > self.limits.result_seconds):
            if run:
                self.engine.drop(run.name)
            raise _RpcError(NOT_FOUND, "query run not found")
        return run

    def _state(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"queryRun": _described(self._find(asked))}

    def _cancel(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        run = self._find(asked)
        with self._lock:
            if run.state != "QUERY_STATE_RUNNING":
                raise _RpcError(-32165, f"a run in state {run.state} cannot be cancelled")
            run.state = "QUERY_STATE_CANCELED"
        return {"queryRun": _described(run)}

    def _page(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        run = self._find(asked)
        if run.state != "QUERY_STATE_SUCCESS":
            raise _RpcError(NOT_FINISHED, f"query run is in state {run.state}")
        number, size = int(asked["page"]["number"]), int(asked["page"]["size"])
        if size > self.limits.page_rows:
            raise _RpcError(TOO_LARGE, f"requested page size {size} is too large")
        names, kinds, rows = self.engine.page(run.name, (number - 1) * size, number * size)
        page = {"currentPageNumber": number, "currentPageSize": len(rows)}
        return {
            "columnNames": names,
            "columnTypes": kinds,
            "rows": rows,
            "page": {**page, "totalRows": run.rows, "totalPages": -(-run.rows // size)},
            "sql": run.sql,
            "format": "csv",
            "originalQueryRun": _described(run),
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that was killed
            super().handle_error(request, client_address)


@contextmanager
def serving(engine: Engine, limits: Limits | None = None, fault: Fault | None = None) -> Iterator[WarehouseServer]:
    """Serve an engine on a free port of loopback until the block is left."""
    state = WarehouseServer(engine, limits or Limits(), fault)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply = state.answer(json.loads(content), self.headers.get("x-api-key"))
            self.send_response_only(reply.status)
            for name, value in {"Date": self.date_time_string(), **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        state._pool.shutdown(wait=True)


def _described(run: _Run) -> dict[str, Any]:
    """A run as the service describes it."""
    ended = None if run.ended is None else _stamp(run.ended)
    return {
        "id": run.name,
        "sqlStatementId": f"s-{run.name}",
        "state": run.state,
        "path": f"local/{run.name}",
        "errorName": "QueryRunExecutionError" if run.error else None,
        "errorMessage": run.error,
        "startedAt": _stamp(run.created),
        "queryRunningEndedAt": ended,
        "queryStreamingEndedAt": ended,
        "endedAt": ended,
        "rowCount": run.rows,
        "totalSize": 0,
        "tags": {},
        "dataSourceId": "local",
        "userId": "local",
        "createdAt": _stamp(run.created),
        "updatedAt": _stamp(run.ended or run.created),
    }


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _stamp(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

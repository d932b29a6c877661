"""Metrics and the access log of a gateway. Neither holds any text of a request or an answer."""

import json
import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from loguru import logger
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


@dataclass(frozen=True)
class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"cortex_{name}", text, labels, registry=self.registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"cortex_{name}", text, ("path",), buckets=_SECONDS, registry=self.registry)

        parts: dict[str, Any] = {
            "requests": counter("requests_total", "Requests by path and status.", "path", "status"),
            "tokens": counter("tokens_total", "Tokens asked and answered, by caller.", "caller", "kind"),
            "dollars": counter("dollars_total", "Price of each caller's tokens.", "caller"),
            "abstained": counter("abstained_total", "Answers held back, by domain.", "domain"),
            "first_byte": seconds("first_byte_seconds", "Time to the first byte of an answer."),
            "duration": seconds("request_seconds", "Time to the last byte of an answer."),
            "ready": Gauge("cortex_engine_ready", "1 while the engine generates tokens.", registry=self.registry),
            "starts": Gauge("cortex_engine_starts", "Starts of the engine.", registry=self.registry),
            "working": Gauge("cortex_working", "Requests at the engine.", registry=self.registry),
            "waiting": Gauge("cortex_waiting", "Requests that wait for a turn.", registry=self.registry),
            "machine": Gauge("cortex_machine_dollars", "Cost of the machine so far.", registry=self.registry),
        }
        for name, metric in parts.items():
            object.__setattr__(self, name, metric)

    requests: Counter = field(init=False)
    tokens: Counter = field(init=False)
    dollars: Counter = field(init=False)
    abstained: Counter = field(init=False)
    first_byte: Histogram = field(init=False)
    duration: Histogram = field(init=False)
    ready: Gauge = field(init=False)
    starts: Gauge = field(init=False)
    working: Gauge = field(init=False)
    waiting: Gauge = field(init=False)
    machine: Gauge = field(init=False)


class Observed:
    """Middleware: gives each request an id, measures it, and writes one line of JSON about it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == REQUEST_ID.encode()), b"")
        request_id = given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status, first = time.perf_counter(), 0, None

        async def observe(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status, first = message["status"], time.perf_counter() - begun
                message["headers"] = [*message["headers"], (REQUEST_ID.encode(), request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            self._note(scope, request_id, status, first, time.perf_counter() - begun)

    def _note(self, scope: Scope, request_id: str, status: int, first: float | None, seconds: float) -> None:
        # The route's own path: one that nobody serves would make a metric of every guess.
        path = getattr(scope.get("route"), "path", "unknown")
        self._metrics.requests.labels(path, str(status)).inc()
        if first is not None:
            self._metrics.first_byte.labels(path).observe(first)
        self._metrics.duration.labels(path).observe(seconds)
        if path in ("/healthz", "/readyz", "/metrics"):
            return
        state = scope["state"]
        noted = {
            "request": request_id,
            "method": scope["method"],
            "path": path,
            "status": status or "the client left",
            "seconds": round(seconds, 4),
            "caller": state.get("caller"),
            **state.get("noted", {}),
        }
        logger.info(json.dumps(noted))

"""Metrics and the access log of a gateway. By default neither holds any text of a request or an answer."""

import json
import re
import time
import uuid
from typing import Any

from loguru import logger
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex.serving.request_spans import Spans

REQUEST_ID = "x-request-id"
UNNOTED = ("/healthz", "/readyz", "/metrics")
"""Paths that programs ask all the time, without a line in the log and without a span."""

_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        self.requests = Counter("cortex_requests", "Requests.", ("path", "status"), registry=own)
        self.tokens = Counter("cortex_tokens", "Tokens asked and answered.", ("caller", "model", "kind"), registry=own)
        self.dollars = Counter("cortex_dollars", "Price of each caller's tokens.", ("caller", "model"), registry=own)
        self.abstained = Counter("cortex_abstained", "Answers held back.", ("domain", "model"), registry=own)
        self.routed = Counter("cortex_routed", "Answers, by rule and model.", ("domain", "rule", "arm"), registry=own)
        self.arm_seconds = Histogram(
            "cortex_arm_seconds", "Time of answers.", ("domain", "rule", "arm"), buckets=_BUCKETS, registry=own
        )
        self.kept = Gauge("cortex_feedback_kept", "Requests kept to learn from, since the start.", registry=own)
        self.lost = Gauge("cortex_feedback_lost", "Requests that no disk took, since the start.", registry=own)
        self.first_byte = _seconds("cortex_first_byte_seconds", "Time to the first byte of an answer.", own)
        self.duration = _seconds("cortex_request_seconds", "Time to the last byte of an answer.", own)
        self.ready = Gauge("cortex_engine_ready", "1 while the engine generates tokens.", ("engine",), registry=own)
        self.starts = Gauge("cortex_engine_starts", "Starts of the engine.", ("engine",), registry=own)
        self.working = Gauge("cortex_working", "Requests at the engine.", ("engine",), registry=own)
        self.waiting = Gauge("cortex_waiting", "Requests that wait for a turn.", ("engine",), registry=own)
        self.machine = Gauge("cortex_machine_dollars", "Cost of the machine so far.", registry=own)


def _seconds(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, text, ("path",), buckets=_BUCKETS, registry=registry)


class Observed:
    """Middleware: gives each request an id, measures it, and writes one line of JSON and a span about it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, spans: Spans | None) -> None:
        self._app, self._metrics, self._spans = app, metrics, spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == REQUEST_ID.encode()), b"")
        request_id = given.decode() if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        begun, status, first = time.perf_counter(), 0, None
        span = self._spans.begin(scope) if self._spans and scope["path"] not in UNNOTED else None

        async def observe(message: Message) -> None:
            nonlocal status, first
            if message["type"] == "http.response.start":
                status, first = message["status"], time.perf_counter() - begun
                message["headers"] = [*message["headers"], (REQUEST_ID.encode(), request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            noted = self._note(scope, request_id, status, first, time.perf_counter() - begun)
            if self._spans and span:
                self._spans.end(span, noted)

    def _note(self, scope: Scope, request_id: str, status: int, first: float | None, seconds: float) -> dict[str, Any]:
        """Measure a request, and write its line, whose keys are returned."""
        # The route's own path: one that nobody serves would make a metric of every guess.
        path = getattr(scope.get("route"), "path", "unknown")
        self._metrics.requests.labels(path, str(status)).inc()
        if first is not None:
            self._metrics.first_byte.labels(path).observe(first)
        self._metrics.duration.labels(path).observe(seconds)
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
        if path not in UNNOTED:
            logger.info(json.dumps(noted))
        return noted

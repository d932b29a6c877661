"""OpenTelemetry: a span for each request, sent over OTLP to the collector that a setting names."""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from loguru import logger
from starlette.types import Scope

from cortex import __version__
from cortex.errors import ConfigError
from cortex.serving.serving_settings import ServingSettings

STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own variables for a collector's address, which its exporter reads by itself."""

ATTRIBUTES = {
    "request": "cortex.request",
    "method": "http.request.method",
    "path": "http.route",
    "status": "http.response.status_code",
    "caller": "cortex.caller",
    "model": "gen_ai.request.model",
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "answer_tokens": "gen_ai.usage.output_tokens",
}
"""Attributes of a span, by the key of a request's line in the log. No other key, and so no text, gets into a span."""

trace_headers: ContextVar[Mapping[str, str]] = ContextVar("trace_headers", default={})  # noqa: B039 - never changed
"""Headers that make the engine's work on a request a part of its trace."""


class Spans:
    """The spans of one gateway. They are sent from a thread of their own; what a collector does not take is dropped."""

    def __init__(self, endpoint: str | None) -> None:
        """`endpoint` is the collector's base URL; None leaves it to OpenTelemetry's own variables.

        Raises:
            ConfigError: this environment has no OpenTelemetry.
        """
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ConfigError(
                "a collector for traces is set, and OpenTelemetry is not installed: install opentelemetry-sdk and "
                "opentelemetry-exporter-otlp-proto-http, or leave the setting out"
            ) from error
        own = Resource({"service.name": "cortex-gateway", "service.version": __version__})
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("cortex.serving", __version__)
        self._trace, self._format = trace, TraceContextTextMapPropagator()

    def begin(self, scope: Scope) -> Any:
        """Begin the span of a request, within the trace that its headers name."""
        named = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span = self._tracer.start_span(scope["method"], self._format.extract(named), kind=self._trace.SpanKind.SERVER)
        headers: dict[str, str] = {}
        self._format.inject(headers, self._trace.set_span_in_context(span))
        trace_headers.set(headers)
        return span

    def end(self, span: Any, noted: Mapping[str, Any]) -> None:
        """End a request's span, with what its line in the log says."""
        span.update_name(f"{noted['method']} {noted['path']}")
        span.set_attributes({name: noted[key] for key, name in ATTRIBUTES.items() if noted.get(key) is not None})
        if "routes" in noted:
            span.set_attribute("cortex.abstained", sum(route["abstained"] for route in noted["routes"]))
        if not isinstance(noted["status"], int) or noted["status"] >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Send what is left, and end the thread. A collector that is down holds this up for some seconds."""
        self._provider.shutdown()


def open_spans(settings: ServingSettings) -> Spans | None:
    """The spans of a gateway, where its settings or OpenTelemetry's own variables name a collector.

    Raises:
        ConfigError: they do, and this environment has no OpenTelemetry.
    """
    if not settings.otlp_endpoint and not any(os.environ.get(name) for name in STANDARD):
        return None
    logger.info("a span of each request goes to the collector of traces")
    return Spans(settings.otlp_endpoint)

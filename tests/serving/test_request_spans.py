"""A span of each request reaches a collector, within the caller's trace and without any text."""

import gzip
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.serving.request_spans import open_spans
from cortex.serving.serving_settings import ServingSettings
from tests.serving.conftest import HELLO, Gateway, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """An OTLP receiver over HTTP, with the spans that it was sent."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.received: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                outer.received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def spans(self) -> list[Any]:
        scopes = [scope for each in self.received for part in each.resource_spans for scope in part.scope_spans]
        return [span for scope in scopes for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    values = ((each.key, each.value) for each in span.attributes)
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values}


@pytest.mark.integration
def test_each_request_is_a_span_of_its_callers_trace_and_the_engine_gets_it(
    own: Callable[..., Gateway], collector: Collector
) -> None:
    gateway = own(otlp_endpoint=f"{collector.url}/", log_prompts=1)
    named = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}
    gateway.reply("nothing readable")
    gateway.post("/v1/chat/completions", HELLO, headers=named)
    gateway.post("/v1/forecast", {"symbol": "NEAR", "date": "2020-07-01"})
    gateway.tell("status 500")
    gateway.post("/v1/chat/completions", HELLO)
    assert gateway.end() == 0, "what is left is sent at the end"

    chat, forecast, failed = collector.spans
    assert (chat.trace_id.hex(), chat.parent_span_id.hex()) == (TRACE, PARENT)
    assert f"00-{TRACE}-{chat.span_id.hex()}-01" in next(line for line in gateway.asked if "hello" in line)
    assert [span.name for span in (chat, forecast)] == ["POST /v1/chat/completions", "POST /v1/forecast"]
    assert attributes(chat) == {
        "cortex.request": "mine",
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "cortex.caller": "anyone",
        "gen_ai.request.model": "rehearsal",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
    }
    assert attributes(forecast)["cortex.abstained"] == 1 and forecast.trace_id != chat.trace_id
    assert (
        attributes(failed)["http.response.status_code"] == 502 and failed.status.code == failed.status.STATUS_CODE_ERROR
    )
    service = {
        each.key: each.value.string_value for each in collector.received[0].resource_spans[0].resource.attributes
    }
    assert service["service.name"] == "cortex-gateway"
    text = " ".join(map(str, collector.received))
    assert "hello" not in text and "NEAR" not in text and "readable" not in text


@pytest.mark.integration
def test_opentelemetry_s_own_variables_name_a_collector_too(
    own: Callable[..., Gateway], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    own().post("/v1/chat/completions", HELLO)
    until(lambda: bool(collector.spans), "a span while the gateway runs")
    assert "mine" in str(collector.received[0].resource_spans[0].resource)


@pytest.mark.integration
def test_a_collector_that_is_down_costs_no_request_and_no_end(own: Callable[..., Gateway]) -> None:
    gateway = own(otlp_endpoint="http://127.0.0.1:9", notice_seconds=0)
    assert gateway.post("/v1/chat/completions", HELLO).status_code == 200
    assert gateway.end() == 0


def test_without_a_setting_nothing_is_sent_and_a_bad_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_spans(ServingSettings()) is None
    monkeypatch.setenv("CORTEX_SERVE_OTLP_ENDPOINT", "localhost:4318")
    with pytest.raises(ConfigError, match="CORTEX_SERVE_OTLP_ENDPOINT is 'localhost:4318'"):
        ServingSettings()


def test_without_opentelemetry_a_collector_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match="OpenTelemetry is not installed: install opentelemetry-sdk"):
        open_spans(ServingSettings(otlp_endpoint="http://localhost:4318"))

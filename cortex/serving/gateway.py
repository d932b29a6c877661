"""The gateway as an ASGI application."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from cortex import __version__
from cortex.serving import chat_routes, page_routes
from cortex.serving.bodies import BodyLimits
from cortex.serving.callers import MetricsCaller
from cortex.serving.domain_routes import domain_router
from cortex.serving.feedback import feedback_routes
from cortex.serving.refusals import Refusal, on_http_error, on_invalid, on_refusal
from cortex.serving.request_spans import open_spans
from cortex.serving.service import Service, service_of
from cortex.serving.telemetry import Observed


def create_app(service: Service) -> FastAPI:
    """The application of one service, whose engines are started and ended by the caller.

    Raises:
        ConfigError: a collector for traces is set, and this environment has no OpenTelemetry.
    """
    spans = open_spans(service.settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        reading = asyncio.create_task(service.access.keep_reading(service.settings.keys_seconds))
        try:
            async with service.feedback.at_work() if service.feedback else nullcontext():
                yield
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            for client in (*service.clients, *(model.client for model in service.upstreams.values())):
                await client.close()
            if spans:
                await asyncio.to_thread(spans.close)

    app = FastAPI(
        title=f"cortex: {', '.join(service.models)}",
        version=__version__,
        lifespan=lifespan,
        responses={code: {"description": text} for code, text in _REFUSALS.items()},
    )
    app.state.service, app.state.access = service, service.access
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http_error)
    app.include_router(chat_routes.router)
    app.include_router(domain_router(service))
    app.include_router(page_routes.router)
    if service.feedback:
        app.include_router(feedback_routes.router)
    _add_states(app)
    # The last one added comes first: the log has bodies that were refused, too.
    app.add_middleware(BodyLimits, limit=service.settings.body_bytes, seconds=service.settings.body_seconds)
    app.add_middleware(Observed, metrics=service.metrics, spans=spans)
    return app


_REFUSALS: dict[int | str, Any] = {
    400: "The engine does not take this request.",
    401: "No API key, or none that counts.",
    403: "The API key is for something else.",
    404: "Nothing of this name is served.",
    405: "This path is not asked in this way.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    422: "The request is wrong; the message says where.",
    429: "Too many requests: ask again after `Retry-After` seconds.",
    502: "The engine failed.",
    503: "The engine is not ready: ask again after `Retry-After` seconds.",
    504: "The engine took too long.",
}


def _add_states(app: FastAPI) -> None:
    begun = time.monotonic()

    @app.get("/healthz", tags=["state"])
    async def healthz() -> dict[str, str]:
        """The gateway runs."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["state"], responses={503: {"description": "It is starting, or ending."}})
    async def readyz(request: Request) -> JSONResponse:
        """Every engine has just generated a token, and the gateway takes requests."""
        service = service_of(request)
        words = "ready" if service.ready else "draining" if service.draining else "starting"
        models = {name: model.client.engine.ready for name, model in service.models.items()}
        return JSONResponse({"status": words, "models": models}, 200 if service.ready else 503)

    @app.get("/metrics", tags=["state"], response_class=Response)
    async def metrics(request: Request, _: MetricsCaller) -> Response:
        """Metrics in Prometheus' text format."""
        service = service_of(request)
        gauges = service.metrics
        for client in service.clients:
            name = client.engine.name
            gauges.ready.labels(name).set(client.engine.ready)
            gauges.starts.labels(name).set(client.engine.starts)
            gauges.working.labels(name).set(client.admission.working)
            gauges.waiting.labels(name).set(client.admission.waiting)
        if keeper := service.feedback:
            gauges.kept.set(keeper.kept)
            gauges.lost.set(keeper.lost)
        gauges.machine.set((time.monotonic() - begun) / 3600 * service.settings.dollars_per_hour)
        return Response(generate_latest(gauges.registry), media_type=CONTENT_TYPE_LATEST)

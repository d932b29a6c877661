"""A gateway's process: the engines, the HTTP server in front of them, and an end in which no request is lost."""

import asyncio
import math
import signal
import socket
from collections.abc import Mapping, Sequence

import uvicorn
from loguru import logger

from cortex.artifacts.store import Store
from cortex.errors import ConfigError
from cortex.runs.notice import Watch
from cortex.serving.callers import Access
from cortex.serving.engine import Engine
from cortex.serving.feedback.feedback_keeper import FeedbackKeeper
from cortex.serving.gateway import create_app
from cortex.serving.route_rules import Rule
from cortex.serving.served_model import ServedModel, UpstreamModel
from cortex.serving.service import Service
from cortex.serving.serving_settings import ServingSettings
from cortex.urls import is_loopback


def make_service(
    models: Sequence[ServedModel],
    keys: Store | None,
    serving: ServingSettings,
    upstreams: Sequence[UpstreamModel] = (),
    rules: Mapping[str, Rule] | None = None,
    feedback: FeedbackKeeper | None = None,
) -> Service:
    """A service of models, the first of them the default. `keys` is the bucket with the API keys; None asks for none.

    `upstreams` are models of other gateways, and `rules` choose the model that answers, by domain.

    Raises:
        DataError: the bucket's API keys cannot be read.
    """
    access = Access(keys)
    access.read()
    others = {model.name: model for model in upstreams}
    served = {model.name: model for model in models}
    return Service(served, serving, access, upstreams=others, rules=rules or {}, feedback=feedback)


def serve(service: Service, *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C: then requests in flight are finished, and the engines end.

    Raises:
        ConfigError: the port is not free, or a variable names no address of a cloud's metadata service.
    """
    engines = [client.engine for client in service.clients if isinstance(client.engine, Engine)]
    watch = Watch(None if service.settings.spot_notice else (), signals=False)
    server = _Server(_config(service), service, watch)
    with _listening(host, port) as listening, watch:
        # After its end uvicorn raises the signals again that it was ended by: this end is as it should be.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        for engine in engines:
            engine.start()
        try:
            for name, model in service.models.items():
                held = model.release
                logger.info(f"{name}: {held.copy} of {held.manifest[:12]}, {held.signer}, at {host}:{port}")
            for name, other in service.upstreams.items():
                logger.info(f"{name}: {other.there} of {other.client.engine.url}")
            asyncio.run(server.serve(sockets=[listening]))
        finally:
            for engine in engines:
                engine.stop()


class _Server(uvicorn.Server):
    """Uvicorn's server, which after SIGTERM, or at a cloud's notice, first lets load balancers know."""

    def __init__(self, config: uvicorn.Config, service: Service, watch: Watch) -> None:
        super().__init__(config)
        self._service, self._watch = service, watch

    async def on_tick(self, counter: int) -> bool:
        """Drain once the cloud has given notice. Requests are answered on until the machine goes."""
        if self._watch.notice and not self._service.draining:
            self._service.draining = True
            logger.warning(f"{self._watch.notice.text}: load balancers are to send no more")
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.draining = True
        await asyncio.sleep(self._service.settings.notice_seconds)
        await super().shutdown(sockets)


def _config(service: Service) -> uvicorn.Config:
    serving = service.settings
    return uvicorn.Config(
        create_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=math.ceil(serving.drain_seconds),
        ssl_certfile=serving.tls_certificate,
        ssl_keyfile=serving.tls_key,
    )


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be served at: {error.strerror}: name another") from error


def is_local(host: str) -> bool:
    """Tell if no other machine can reach this address."""
    return is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}")

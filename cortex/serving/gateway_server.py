"""A gateway's process: the engine, the HTTP server in front of it, and an end in which no request is lost."""

import asyncio
import math
import signal
import socket
from pathlib import Path

import uvicorn
from loguru import logger

from cortex.artifacts.store import Store
from cortex.errors import ConfigError
from cortex.serving.admission import Admission
from cortex.serving.callers import Access
from cortex.serving.engine import Engine, free_port
from cortex.serving.engine_client import EngineClient
from cortex.serving.engine_command import EngineCommand, engine_command
from cortex.serving.gateway import create_app
from cortex.serving.served_release import ServedRelease
from cortex.serving.service import Service
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import Settings
from cortex.urls import is_loopback


def make_service(
    release: ServedRelease, keys: Store | None, settings: Settings, serving: ServingSettings, *, gpus: int
) -> Service:
    """A service of a release on this machine. `keys` is the bucket with the API keys; None asks for none.

    Raises:
        ConfigError: this machine cannot run the release's copy.
        DataError: the bucket's API keys cannot be read.
    """
    port = free_port()
    command = engine_command(release.weights, release.name, port, settings, gpus=gpus, max_tokens=serving.max_tokens)
    logs = settings.home.absolute() / "serving"
    logs.mkdir(parents=True, exist_ok=True)
    return supervise(release, command, port, logs / "engine.log", keys, serving)


def supervise(
    release: ServedRelease,
    command: EngineCommand,
    port: int,
    log: Path,
    keys: Store | None,
    serving: ServingSettings,
) -> Service:
    """A service whose engine is started by `command`, listens at `port` of the loopback, and prints to `log`."""
    access = Access(keys)
    access.read()
    admission = Admission(serving.concurrency, serving.queue, serving.queue_seconds)
    engine = Engine(release.name, command, port, log, busy=lambda: admission.working)
    return Service(release, serving, access, EngineClient(engine, admission, serving.request_seconds))


def serve(service: Service, *, host: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C: then requests in flight are finished, and the engine ends.

    Raises:
        ConfigError: the port is not free.
    """
    release, engine = service.release, service.client.engine
    server = _Server(_config(service), service)
    with _listening(host, port) as listening:
        # After its end uvicorn raises the signals again that it was ended by: this end is as it should be.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        engine.start()
        try:
            logger.info(
                f"{release.name}: {release.copy} of {release.manifest[:12]}, {release.signer}, at {host}:{port}"
            )
            asyncio.run(server.serve(sockets=[listening]))
        finally:
            engine.stop()


class _Server(uvicorn.Server):
    """Uvicorn's server, which after SIGTERM first lets load balancers know."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

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

"""Engines of this machine for releases: chosen, given a port and a log, and put under supervision."""

from pathlib import Path

from cortex.serving.admission import Admission
from cortex.serving.engine import Engine, EngineCommand, free_port
from cortex.serving.engine_client import EngineClient
from cortex.serving.engine_command import engine_command
from cortex.serving.engine_log import log_file
from cortex.serving.served_model import ServedModel
from cortex.serving.served_release import ServedRelease
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import Settings


def serve_here(
    release: ServedRelease,
    settings: Settings,
    serving: ServingSettings,
    *,
    gpus: int,
    name: str | None = None,
    price: float | None = None,
) -> ServedModel:
    """A release as a model of this machine, under its own name or another. Its engine is not started yet.

    `price` is in dollars for a million tokens, by default that of the settings.

    Raises:
        ConfigError: this machine cannot run the release's copy.
    """
    name, port = name or release.name, free_port()
    command = engine_command(
        release.weights,
        name,
        port,
        settings,
        gpus=gpus,
        max_tokens=serving.max_tokens,
        context=serving.context_tokens or release.profile.sft.sequence_length,
        patterns=[endpoint.pattern for endpoint in release.endpoints.values() if endpoint.pattern],
    )
    client = supervise(name, command, port, log_file(settings, name, port), serving)
    return ServedModel(name, release, client, dollars_per_million_tokens=serving.price_or(price))


def supervise(name: str, command: EngineCommand, port: int, log: Path, serving: ServingSettings) -> EngineClient:
    """The client of an engine that `command` starts; it listens at `port` of the loopback, and prints to `log`."""
    admission = Admission(serving.concurrency, serving.queue, serving.queue_seconds)
    engine = Engine(name, command, port, log, busy=lambda: admission.working)
    return EngineClient(engine, admission, serving.request_seconds)

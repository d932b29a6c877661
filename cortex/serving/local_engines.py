"""Engines of this machine for releases: chosen, given a port and a log, and put under supervision."""

from collections.abc import Mapping
from pathlib import Path

from cortex.errors import ConfigError
from cortex.models.adapter_fit import require_fit
from cortex.serving.admission import Admission
from cortex.serving.engine import Engine, EngineCommand, free_port
from cortex.serving.engine_client import EngineClient
from cortex.serving.engine_command import engine_command
from cortex.serving.engine_log import log_file
from cortex.serving.served_model import ServedModel
from cortex.serving.served_release import ServedRelease
from cortex.serving.serving_settings import ServingSettings
from cortex.serving.vllm_command import vllm_command
from cortex.settings import Settings

BASE_NAME = ".base"
"""The name of a base at the engine of its adapters: models of a gateway begin with a letter or a digit."""


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


def serve_adapters(
    members: Mapping[str, ServedRelease],
    base: Path,
    settings: Settings,
    serving: ServingSettings,
    *,
    gpus: int,
    prices: Mapping[str, float | None],
) -> list[ServedModel]:
    """Releases whose served copies are adapters of one base, by their names in the API, with one engine and its turns.

    The engine has the name of the first, through which it is asked whether it generates tokens. The base has a name
    there that no model of a gateway can have. `prices` are as in `serve_here`.

    Raises:
        ConfigError: an adapter does not fit the base, or this machine cannot run it.
    """
    for name, release in members.items():
        try:
            require_fit(release.weights, base)
        except ConfigError as error:
            raise ConfigError(f"models.{name}: {error}") from error
    name, port = next(iter(members)), free_port()
    adapters = {member: release.weights.absolute() for member, release in members.items()}
    command = vllm_command(base, BASE_NAME, port, settings, gpus=gpus, max_tokens=serving.max_tokens, adapters=adapters)
    client = supervise(name, command, port, log_file(settings, name, port), serving)
    return [
        ServedModel(member, release, client, dollars_per_million_tokens=serving.price_or(prices[member]))
        for member, release in members.items()
    ]


def supervise(name: str, command: EngineCommand, port: int, log: Path, serving: ServingSettings) -> EngineClient:
    """The client of an engine that `command` starts; it listens at `port` of the loopback, and prints to `log`."""
    admission = Admission(serving.concurrency, serving.queue, serving.queue_seconds)
    engine = Engine(name, command, port, log, busy=lambda: admission.working)
    return EngineClient(engine, admission, serving.request_seconds)
